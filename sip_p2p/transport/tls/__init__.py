"""TLS on Twisted: OpenSSL's contexts, the gate before a flow, the moving of bytes, files that change.

Who may come is asked of :mod:`sip_p2p.transport.trust`. Start with :mod:`~sip_p2p.transport.tls.settings`.

================  ========================================================  ====================
module            what                                                      standard
================  ========================================================  ====================
``settings``      settings and factories                                    RFC 3261 section 26
``contexts``      OpenSSL's contexts, made from one state of the settings   RFC 9325
``gate``          what OpenSSL asks on the way, and the gate before a flow  RFC 7301, RFC 6066
``protocol``      the moving of bytes                                       RFC 8446
``resumption``    sessions for the next connection                          RFC 8446 section 2.2
``server_names``  a certificate for each name                               RFC 6066 section 3
``reload``        files that are read again
``expiry``        a word in time before something runs out
================  ========================================================  ====================
"""
