"""Exchanges with SIP programs that are not ours, each in its own process, over real sockets on this machine.

Run them with ``make interop``, or some of them with trial::

    python -m twisted.trial tests.interop.test_kamailio

**What is needed.** The packages of Debian that ``.ci/run`` lists, with Kamailio's own service left off, ``nodejs`` with
``npm``, and ``npm install --ignore-scripts --prefix build sip jssip`` (``SIP_P2P_NODE_MODULES`` names another
``node_modules``). A test whose peer is missing is skipped and says what to install; with ``SIP_P2P_INTEROP=require`` it
fails instead, which is how CI runs them. baresip, scans, the capture of packets and everything on a wire of its own
need network namespaces, and so root.

**What is here.** ``peers`` holds a class for each program. ``support`` has the cases and our side of an exchange,
``exchanges`` what is the same with every peer that both asks and answers, ``calls`` what tests of calls share,
``certificates`` the right ones and those that are wrong in one way each, ``namespace`` a network of one's own,
``namespaces`` several hosts with wires and routers between them, and ``wires`` the cases for those. Peers listen on
ports that were free a moment ago, on 127.0.0.1, and on fixed ones only in a namespace. Nothing leaves the machine,
nothing is waited for by sleeping, and every process is ended by its id.

**What is shown.** OPTIONS and MESSAGE both ways over every transport that a peer has; mutual TLS with a wrong name, a
wrong authority, an expired certificate and none, from either side; the service and the command, alone and behind
Kamailio as an outbound proxy; and that tshark, which shares no line with us, reads in our messages what we meant. Pings
in both directions, requests back over connections that the other side opened, resumed sessions, revoked certificates,
servers that are busy or killed; wires that are cut, firewalls, routers that forget, a third of all packets lost; and
clocks that are set by a day, all of it under load.

Calls both ways over every transport that a peer has, with softphones, a browser, through a proxy that stays in their
way, and with SIPp, which says what no good peer would: forks, CANCELs that cross answers, changes from both sides at
once, session timers that nobody keeps, 2xx that nobody acknowledges, peers that are killed. Where a session lasts
minutes our clock runs faster, the peer's does not. tshark has to understand every message that we send in them.

Passwords asked for and given, and refused where they are wrong; signatures that are still whole behind a proxy.
"""
