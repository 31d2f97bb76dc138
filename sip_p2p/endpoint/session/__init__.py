"""Sessions for applications, in UCMA's vocabulary (RFC 3261 sections 9 and 12 to 15).

The rules are those of :mod:`sip_p2p.sip.dialog`; here is what needs the world: the application's offers and answers,
its Deferreds and events, and the end of everything within a time. Start with :mod:`.session`.

====================  ==========================================================================  =====================
module                what                                                                        standard
====================  ==========================================================================  =====================
``session``           the session: its states, its events, what can be done in it
``life``              its state, what waits in it, and its end
``events``            what it tells, and in which order
``states``            the states, and why one went into another                                   RFC 3261 section 21
``set_up``            what both kinds have until they stand
``calling``           one that we establish, until it stands
``answering``         one that a peer wants to establish, until it stands
``offers``            where an application's offers and answers come from                         RFC 3264, RFC 6337
``exchange``          an offer of the peer, and the answer that it is owed
``participant``       who is at the other end, and what it can do
``watching``          the messages of one session, for whoever wants to see them
``in_dialog``         the requests within a session, ours and the peer's                          RFC 3261 section 12.2
``errands``           the requests of INVITEs and dialogs on their way, and ACKs                    RFC 3263 section 4.3
``dialog_flow``       which flow a dialog's request takes, and who may be at its other end
``recovery``          sessions whose connection was lost, taken up on a new one                   RFC 5626
``saving``            sessions that outlive their process
``ending``            many sessions that end at once
``sessions``          all sessions of a connection manager: who hears what, and their end
====================  ==========================================================================  =====================
"""
