"""What the command line, a file and the environment say, each mistake told in one line.

==========================  ============================================================================================
module                      what
==========================  ============================================================================================
``application_options``     what the built-in applications are told
``identity_options``        asserted and signed identities
``authentication_options``  names and passwords, for peers that ask and for those who are asked
``command_line``            what every command line of ours does its own way
``config``                  options from a file and from the environment, and which of them wins
``config_file``             what stands in a TOML file, and in which line
``export_options``          captures, a Homer server, the keys of TLS: what is handed to other programs
``http_options``            where the HTTP API listens, and who may ask
``life_options``            event packages, subscriptions, the outbox, and what peers may transfer
``observe_options``         those of the instruments: what is recorded, counted and logged
``option_table``            every option as a value, read from the option classes: what is generated goes by it
``options``                 the options that both share, and those of the service; each mistake has one clear line
``peer_options``            those that say how peers are known, where they are found, how much of them is borne
``reconfiguration``         what SIGHUP takes over of a changed file
``registration_options``    the registrar, for a party that has one
``run_options``             in how many processes it runs
``session_options``         those of sessions: how long it may ring, reliable responses, timers
``webhook_options``         where the webhook is, and on what terms
==========================  ============================================================================================
"""
