"""What a user programs against, in UCMA's vocabulary.

A :class:`~sip_p2p.endpoint.endpoint.SipPeerToPeerEndpoint` is a party; a connection manager holds its listeners, its
flows and its proofs of identity, and can serve many parties. The package imports the transport and SIP below it, never
the service above. Start with :mod:`~sip_p2p.endpoint.endpoint`.

======================  ======================================================================  ======================
module                  what                                                                    standard
======================  ======================================================================  ======================
``endpoint``            the party, and what it sends
``party``               what every party has: who it is, how it is reached, who answers for it
``party_options``       the arguments that one is made with, checked
``address``             whom an application wants to talk to
``contact``             how a party is to be reached again                                      RFC 5626 section 4.1
``own_address``         what a connection manager calls itself in Via and Contact
``thread``              the one thread that everything belongs to
``connection_manager``  listeners, flows, proofs of identity; one core, one driver, one pool
``server_managers``     the two that applications make: with TLS, and without
``listener``            one listening endpoint
``listener_watch``      whether it still listens, and whether its addresses are still ours
``connection_request``  what an application is asked about a connection
``from_policy``         who may send under which From                                           RFC 5922 section 7.4
``renewal``             certificates that are replaced, and those that run out
``standing``            connections that are kept and made anew                                 RFC 5626 section 4.5
``composition``         from the arguments of a call to a request and its first hop             RFC 3261 section 8.1
``outgoing``            one request of an application, from the call to its outcome
``elsewhere``           where a request goes that was redirected                                RFC 3261 section 8.1.3
``delivery``            a request on its flow, and what comes back                              RFC 3261 section 8.1.3
``flow_search``         from what is to be sent to the flow that carries it                     RFC 3263 section 4
``failover``            the servers that it may be sent to, one after the other                 RFC 3263 section 4.3
``dispatch``            who is told what comes out of the core
``incoming``            a request for an application, and its one answer                        RFC 3261 section 8.2
``peer``                who is at the other end
``events``              how applications are told; those of the endpoint
``flow_events``         those of flows
``load_events``         those of load
``load``                the state of overload, and what is refused because of it                RFC 7339
``accounts``            what lives and what has been counted
``drain``               waiting for what is in flight
``authentication``      digest: challenges answered, and made                                   RFC 3261 section 22
``identity``            who a caller is said to be, beyond what its connection proves           RFC 3325, RFC 8224
``lives``               what lives on in time beside sessions, and its end
``leaving``             many of these that end at once
``session``             sessions: INVITE and what it gives rise to                              RFC 3261 sections 12-15
``publication``         events that are kept at a server, by us and for others                  RFC 3903
``registration``        a party that has a server, and tells it where it is                     RFC 3261 section 10
``subscription``        events: those of peers, and ours                                        RFC 6665
``transfer``            REFER, transfer, sessions in the place of others                        RFC 3515, RFC 3891
``messaging``           texts with reports, who is writing, and an outbox in a file             RFC 3428, RFC 5438
======================  ======================================================================  ======================
"""
