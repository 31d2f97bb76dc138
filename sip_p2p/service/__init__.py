"""What runs without writing code: ``twistd sip-p2p``, the service, and ``sip-p2p``, the command.

Both read the same options and build the same party; whoever writes a program uses :mod:`sip_p2p.endpoint` instead.

================  ==================================================================================================
module            what
================  ==================================================================================================
``service``       the Twisted service: start, listen, drain, stop; what the plugin for ``twistd`` points to
``assembly``      that service made from its options: the party, its application, what stands beside it
``party``         a connection manager and an endpoint made from options
``parts``         what stands beside the party: the HTTP API, instruments, a supervisor's messenger
``chronicle``     everything that happens to the party, told there
``event_names``   the names of all events
``happenings``    what happens, told to whoever follows it
``passwords``     the files of names and passwords
``registering``   a party that has a server, and tells it where it is
``json_lines``    what is written of it: one JSON object a line
``settings``      the command line, a file and the environment
``applications``  what the service does with what arrives: those that are built in, and what your own derive from
``webhook``       what comes in is POSTed to a program of the user's, which decides the answer
``lives``         subscriptions, publications, referrals and the outbox: their numbers, and what is told of them
``http``          the HTTP API: it steers a running service and sees into it
``instruments``   what looks at the wire, and where it sends what it sees
``process``       logs, signals, a supervisor, and several processes on one port
``cli``           the ``sip-p2p`` command and its exit codes
``commands``      what it does
``diagnosis``     ``--check`` and the doctor
``words``         each failure in words, with what to do about it
``silence``       the session descriptions of programs without media
================  ==================================================================================================
"""
