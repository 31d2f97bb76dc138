"""Who a caller is said to be, beyond what its connection proves (RFC 3323, RFC 3325, RFC 8224 to 8226).

A connection proves the next hop. What came through it from others is believed on the word of a peer that is trusted for
that, or on a signature. Nothing of either says who a *peer* is: that stays with TLS, or digest. Start with
:mod:`~sip_p2p.endpoint.identity.verifier`.

======================  ==================================================================  ============================
module                  what                                                                standard
======================  ==================================================================  ============================
``trust_domain``        whose word for others' identities counts                            RFC 3325
``signer``              our requests signed                                                 RFC 8224 section 6.1
``verifier``            signatures of others judged                                         RFC 8224 section 6.2
``verdict``             what came of it                                                     RFC 8224 section 6.2.2
``replay``              what was signed for another request                                 RFC 8224 section 12.1
``admission``           requests that wait for the judgement
``certificates``        the certificates of signers, remembered                             RFC 8224 section 7.2
``fetching``            one of them fetched over HTTPS, and what may be fetched at all      RFC 8224 section 7.3
``chain``               whether somebody trusted vouches for one, and for which names       RFC 8224 section 8.4
======================  ==================================================================  ============================
"""
