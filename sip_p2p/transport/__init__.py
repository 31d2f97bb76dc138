"""SIP on Twisted: sockets, TLS, names, the clock.

What lives here turns connections and datagrams into flows, and what the core of :mod:`sip_p2p.sip` says into bytes on
them. It imports :mod:`sip_p2p.errors` and :mod:`sip_p2p.sip`, and nothing of the endpoint above it; a test holds it to
that.

Start with :mod:`~sip_p2p.transport.driver`, the only place where both worlds are visible, then
:mod:`~sip_p2p.transport.stream` for the life of a connection, then :mod:`~sip_p2p.transport.tls` for what comes before
its first byte.

========================================  ============================================  ================================
module                                    what                                          standard
========================================  ============================================  ================================
``driver``, ``deadlines``, ``clock``      the core, its one delayed call, its time      RFC 3261 section 17
``flow``, ``stream``, ``datagram``        one path to one peer, and what carries it     RFC 3261 section 18, RFC 5626
``pool``, ``bundle``, ``alias``           which flow a request takes                    RFC 5923
``dial``, ``dialler``, ``backoff``        how one comes about, or does not              RFC 8305, RFC 5626 section 4.5
``lease``, ``liveness``                   how long it stays, and how it ends
``proxy``                                 the first hop, where there is one             RFC 3261 section 8.1.2
``keeper``, ``throttle``                  how many flows, for how long, what is said    RFC 3261 section 18
``target``, ``resolve``                   from a URI to an address                      RFC 3263, RFC 5630
``descriptions``, ``description_text``    where to listen, in one line of text
``listening``, ``tls_listening``          what a description becomes
``inherited``, ``proxied``                sockets from systemd, the PROXY header
``websocket``, ``websocket_frames``       SIP over WebSocket                            RFC 7118, RFC 6455
``browsers``                              the way back to those without an address      RFC 7118 section 5
``authorization``                         the application's word on a connection
``tls``                                   contexts, factories, the gate before a flow   RFC 3261 section 26, RFC 9325
``tls_verify``, ``identity``              who the peer is, and whether it is welcome    RFC 5922, RFC 5924
``tls_protocol``                          the moving of bytes through TLS               RFC 8446
``tls_failure``                           what went wrong, in our terms                 RFC 8446 section 6
``credential``                            our certificate, and whom we trust            RFC 5280
``limits``                                every bound, by name
========================================  ============================================  ================================
"""
