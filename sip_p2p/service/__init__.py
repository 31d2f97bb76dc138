"""What runs without writing code: ``twistd sip-p2p``, the service, and ``sip-p2p``, the command.

Both read the same options and build the same party; whoever writes a program uses :mod:`sip_p2p.endpoint` instead.

=======================  ===============================================================================================
module                   what
=======================  ===============================================================================================
``options``              the options that both share, and those of the service; each mistake has one clear line
``peer_options``         those that say how peers are known, where they are found, how much of them is borne
``option_table``         every option as a value, read from the option classes: what is generated goes by it
``config``               options from a file and from the environment, and which of them wins
``reconfiguration``      what SIGHUP takes over of a changed file
``config_file``          what stands in a TOML file, and in which line
``command_line``         what every command line of ours does its own way
``observe_options``      those of the instruments: what is recorded, counted and logged
``session_options``      those of sessions: how long it may ring, reliable responses, timers
``party``                a connection manager and an endpoint made from options
``service``              the Twisted service: start, listen, drain, stop; what the plugin for ``twistd`` points to
``assembly``             that service made from its options: the party, its application, what stands beside it
``applications``         what the service does with what arrives: those that are built in, and what your own derive from
``application_options``  what those are told on the command line
``setting``              what each of those that are built in is made with
``parts``                what stands beside the party: the HTTP API, instruments, a supervisor's messenger
``chronicle``            everything that happens to the party, told there
``instruments``          what looks at the wire: the recorder, the transactions, the figures
``happenings``           what happens, told to whoever follows it
``export_options``       captures, a Homer server, the keys of TLS: what is handed to other programs
``exports``              that, while the service runs
``hep_sender``           what brings messages to the Homer server
``http``                 the HTTP API: it steers a running service and sees into it
``http_options``         where it listens, and who may ask
``webhook``              what comes in is POSTed to a program of the user's, which decides the answer
``webhook_options``      where that is, and on what terms
``json_lines``           what it writes: one JSON object a line
``silence``              the session descriptions of programs without media
``check``                ``--check``: everything looked at and explained, nothing bound
``check_options``        its words on each option, and on files
``check_parts``          its words on what stands beside the party
``state``                what is kept between two runs: the instance id
``supervision``          a supervisor is told how we are: systemd, or the parent of workers
``run_options``          in how many processes it runs
``workers``              the parent of these: it starts them, starts the dead anew, and passes on what it is told
``worker``               one of them: what its parent says to it, and what it says back
``shared_sockets``       what they listen on, together and each alone
``signals``              SIGHUP reads files anew; a second SIGTERM ends a stop at once
``logs``                 a log file that can be opened anew and outlives a full disk
``log_format``      what it is made of, where that is JSON
``cli``                  the ``sip-p2p`` command and its exit codes
``sending``              its ``send``, ``options`` and ``request``
``calling``              its ``call``
``doctor``               its ``doctor``, on the way to a peer
``listener_check``       its ``doctor``, for a listener
``probing``              what answers on a port, and what TLS there asks for
``findings``             what was looked at and what is so, for ``check`` and ``doctor``
``diagnosis``            what is wrong, from what the three before have seen; values only
``keys``                 its ``pki``
``drawing``              its ``ladder``
``tracing``              its ``trace``
``trace_source``         where both get what they show
``showing``              its ``show`` and its ``control``
``control_client``       what asks a running service, for all of these
``control_options``      and which service that is
``demo``, ``kept_demo``  its ``demo``
``words``                each failure in words, with what to do about it
=======================  ===============================================================================================
"""
