"""Digest authentication of a party (RFC 3261 section 22, RFC 7616, RFC 8760): with what it answers challenges, and how
it challenges others.

==================  =================================================================================================
``credentials``     the names and passwords of a party, each for one realm and one peer
``login``           one request that is challenged, from the first try to the last
``authenticator``   asks others, and judges what they say
==================  =================================================================================================

The values and the hashes are :mod:`sip_p2p.sip.digest`'s.
"""
