"""SIP on connections: TCP, TLS once the peer is verified, and WebSocket.

Start with :mod:`~sip_p2p.transport.stream.protocol`.

====================  ==============================================================  ===================
module                what                                                            standard
====================  ==============================================================  ===================
``protocol``          SIP on a connection                                             RFC 3261 section 18
``flow``              its flow: what waits to be written, within bounds
``half_open``         TCP notices that a peer has vanished                            RFC 5482
``liveness``          whether a request can have been read before a connection ended
``alias``             the place of its own that a peer calls a connection by          RFC 5923
``authorization``     the application's word on a connection
``websocket``         SIP over WebSocket                                              RFC 7118
``websocket_frames``  its opening and its frames                                      RFC 6455
``browsers``          the way back to those without an address                        RFC 7118
====================  ==============================================================  ===================
"""
