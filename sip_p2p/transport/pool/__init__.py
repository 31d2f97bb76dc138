"""Which connection a request takes: the flows that are kept, and how a new one comes about.

Start with :mod:`~sip_p2p.transport.pool.pool`.

===========  ==============================================================  ====================
module       what                                                            standard
===========  ==============================================================  ====================
``pool``     the flows that are kept, and which of them may carry a request  RFC 5922, RFC 5923
``bundle``   the flows of one key, and whose turn it is
``dial``     one connection being made, and who waits for it
``dialler``  the addresses of a server, raced                                RFC 8305
``backoff``  how long a place is left alone                                  RFC 5626 section 4.5
``lease``    who needs a connection to stay
===========  ==============================================================  ====================
"""
