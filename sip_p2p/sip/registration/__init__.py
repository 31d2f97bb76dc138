"""Registration: how a party tells the server of its domain where it is (RFC 3261 section 10, RFC 5626).

Machines as those of :mod:`sip_p2p.sip.dialog`: time is an argument, a REGISTER that is to be sent is an errand in an
effect, and chance comes from the core's tokens. Start with :mod:`.binding`.

============  ======================================================  =================================================
module        what                                                    standard
============  ======================================================  =================================================
``binding``   one binding at a registrar, from the first REGISTER to  RFC 3261 sections 10.2 and 10.3, RFC 5626 section
              the last                                                4
``order``     what all REGISTERs of one party have in common          RFC 3261 section 10.2, RFC 5626 section 4.2.1
``granted``   what a registrar has granted                            RFC 3261 section 10.2.4, RFC 3327, RFC 3608, RFC
                                                                      5627 section 4.2
``recovery``  how long to wait before the next attempt                RFC 5626 section 4.5
============  ======================================================  =================================================
"""
