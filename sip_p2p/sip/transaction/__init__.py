"""Transactions: one request, its retransmissions, and the responses to it (RFC 3261 section 17, RFC 6026, RFC 4320).

Four machines, one file each, and each beside its figure in the standard; the layer that finds the machine which a
message belongs to; the timers. Nothing here may be imported but :mod:`sip_p2p.errors` and the modules of
:mod:`sip_p2p.sip` that carry messages.

=======================  ==========================================  =================================================
module                   what                                        standard
=======================  ==========================================  =================================================
``non_invite_client``    a request of ours; start here               17.1.2, Figure 6
``invite_client``        an INVITE of ours                           17.1.1, Figure 5, RFC 6026 section 7.2
``non_invite_server``    a peer's request                            17.2.2, Figure 8, RFC 4320
``invite_server``        a peer's INVITE                             17.2.1, Figure 7, RFC 6026 section 7.1
``layer``                matching, and the verbs for the caller      17.1.3, 17.2.3, 17.1.4, 18.1.2
``key``                  what messages are matched by                17.1.3, 17.2.3
``base``                 what the machines have in common            17
``table``                the live transactions, and their flows      17
``finished``             the ones that only wait for stragglers      timers D, I, J and K
``timers``               durations, and the queue                    17, Table 4
=======================  ==========================================  =================================================

A machine has one method for each input and is handed the table that it stands in with every call: it keeps no
reference to it, so no transaction is ever part of a reference cycle.
"""
