"""Who a peer is: by what it is known, what its certificate proves, what was taken back, the judgement.

Nothing here moves a byte: whoever wants to know what lets a peer in, and what keeps it out, reads this package
alone. Start with :mod:`~sip_p2p.transport.trust.judgement`.

=====================  ================================================================  ====================
module                 what                                                              standard
=====================  ================================================================  ====================
``stack``              by what it is known, and stacks of that
``credential``         certificates and keys from files: ours, and those of authorities  RFC 5280
``identity``           the names that a certificate proves, and those that are welcome   RFC 5922
``certificate_facts``  what a certificate says by itself                                 RFC 5280, RFC 9325
``key_usage``          what it must be meant for                                         RFC 5924
``pins``               keys that are known beforehand                                    RFC 7469
``first_use``          keys that were seen before
``known_keys``         the file that they are kept in
``revocation``         lists of what has been taken back                                 RFC 5280 section 6.3
``ocsp``               what an authority says of a certificate today                     RFC 6960, RFC 7633
``issuers``            who stood above a peer when it was verified
``chain_rule``         the whole chain, also when a session is resumed
``judgement``          the judgement, passed twice
``https``              the same for HTTPS servers, which we ask as clients                 RFC 9110
``failure``            what went wrong, in our terms                                     RFC 8446 section 6
=====================  ================================================================  ====================
"""
