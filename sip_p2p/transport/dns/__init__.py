"""Where a name leads (RFC 3263): the rules with nothing but values, and the world around them.

Start with :mod:`~sip_p2p.transport.dns.locate`.

================  ===================================================  ====================
module            what                                                 standard
================  ===================================================  ====================
``resolver``      the interface of resolvers, and the two simple ones
``dns_resolver``  the one that asks DNS, and remembers
``locate``        the rules, with nothing but values                   RFC 3263 section 4
``client``        one question to the name servers                     RFC 1035, RFC 5452
``name_servers``  what this machine knows by itself
``records``       what DNS says, as values                             RFC 2782, RFC 3403
``family``        IPv4 and IPv6                                        RFC 6157, RFC 8305
``dead_targets``  servers that failed a short while ago                RFC 3263 section 4.3
================  ===================================================  ====================
"""
