"""Registration, where a server exists: a party that tells its domain's registrar where it is (RFC 3261 section 10).

The machine is :mod:`sip_p2p.sip.registration.binding`; here it gets its flows and its face. Nothing in it is needed by
parties that find each other without a server. Start with :mod:`.sip_endpoint`.

==================  ====================================================================  =============================
module              what                                                                  standard
==================  ====================================================================  =============================
``sip_endpoint``    the party that can register
``registration``    one registration, over one flow or several                            RFC 5626
``arguments``       what may be said of it, checked
``register_run``    one REGISTER on its way                                               RFC 3261 section 10.2
``bonds``           which registrations a flow serves                                     RFC 5626 section 4.5
``states``          how a registration stands, and what is told of that
``service_route``   the proxies that the registrar wants our requests to go by            RFC 3608
==================  ====================================================================  =============================
"""
