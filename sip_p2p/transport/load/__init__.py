"""Too much: what is admitted, what is refused in overload, and what peers have asked us to do less of.

Start with :mod:`~sip_p2p.transport.load.overload`.

=================  =============================================  ==================
module             what                                           standard
=================  =============================================  ==================
``admission``      who may open a connection, how many, how fast
``overload``       three states, by figures                       RFC 5390, RFC 6357
``restraint``      what peers have asked us to do less of         RFC 7339
``shared_octets``  octets that all flows hold together
=================  =============================================  ==================
"""
