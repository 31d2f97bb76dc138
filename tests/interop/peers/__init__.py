"""The programs that we are tested against, one module and one class for each.

Each class derives from :class:`~tests.interop.peers.peer.Peer`: it writes its configuration into a folder of its own,
starts its process, waits until that has opened its ports, tells it what to do, tells the test what it saw, and ends it
by its process id with all that it forked.

================  ================================  ==================================================
module            program, transports               limits of the program that the tests go around
================  ================================  ==================================================
``kamailio``      Kamailio: UDP, TCP, TLS           no look at the name in a certificate
``node_sip``      ``sip`` of npm: UDP, TCP, TLS     no tag in To; refuses certificates without an alert
``sipp``          SIPp: UDP, TCP; TLS by socat      one scenario a process
``baresip``       baresip: UDP, TCP, TLS            no host with loopback addresses only; verifies nobody
``sip_options``   sofia-sip: UDP, TCP, TLS          asks only; verifies nobody
``sipsak``        sipsak: UDP, TCP                  asks only; ports of four digits in URIs
``svmap``         svmap: UDP                        scans
``linphone``      linphonec: UDP, TCP, TLS          its own TLS port resets handshakes
``tshark``        dumpcap and tshark                reads; says nothing
``ours``          ``twistd sip-p2p``, ``sip-p2p``   ours, as others start them
``party``         our library: UDP, TCP, TLS        a process to be killed, and told what to do
================  ================================  ==================================================

Kamailio is a proxy in ``kamailio``, and the server of a domain (``kamailio_domain``) in ``kamailio_registrar`` and
``kamailio_presence``; ``kamailio_settings`` is what they all begin with.

``program`` is a process with its output as text; ``scenarios`` holds SIPp's for single requests, ``scenario`` makes
those of calls; ``node_sip.js`` is what node runs.
"""
