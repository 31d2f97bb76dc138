"""Dialogs, and what INVITE makes of them (RFC 3261 sections 9 and 12 to 15).

Machines as plain as those of the transactions: one file each, time as an argument, and what they want of the world is
said in :mod:`~sip_p2p.sip.dialog.effects`, in the same list as everything else that the core says. Start there, then
:mod:`~sip_p2p.sip.dialog.dialog`.

=====================  =========================================================  =====================================
module                 what                                                       standard
=====================  =========================================================  =====================================
``effects``            everything that dialogs and INVITEs can say
``appointments``       when each wants to be called again
``dialog``             its state, its requests, whose it is                       RFC 3261 section 12, RFC 5630
``table``              how a message finds its dialog                             RFC 3261 section 12.2.2
``state``              a session as text, for another process to take it up
``description``        what an offer or an answer is made of                      RFC 3264, RFC 5621
``usage``              a session in one dialog: every input of it                  RFC 3261 12 to 15, RFC 5057
``outgoing_change``    a re-INVITE or UPDATE of ours                              RFC 3261 14.1, RFC 3311, RFC 6141
``incoming_change``    a re-INVITE or UPDATE of the peer's                        RFC 3261 14.2, RFC 3311, RFC 4028
``acknowledging``      the ACK of a 2xx, at either end                            RFC 3261 13.2.2.4, 13.3.1.4
``outcomes``           what became of our requests, and what that means           RFC 3261 12.2.1.2, RFC 5057
``refreshing``         what a session does when its time has come                 RFC 4028 7.4, 10
``mid_dialog``         what requests and responses in it carry anyway             RFC 3261 12.2, RFC 4028 section 9
``replacing``          which session an INVITE is to replace or join              RFC 3891 section 3, RFC 3911 section 4
``references``         Replaces, Join, Target-Dialog: another dialog by name      RFC 3891, RFC 3911, RFC 4538
``info``               INFO packages                                              RFC 6086
``reach``              what a failed request takes with it                        RFC 5057 section 5
``offer_answer``       where an offer and where an answer may stand               RFC 3264, RFC 6337
``reliable``           provisional responses that arrive                          RFC 3262
``client_invitation``  an INVITE of ours: attempts, branches, CANCEL              RFC 3261 9.1, 13.2
``client_branch``      what one branch of it says, told to its usage              RFC 3261 13.2.2.4, RFC 3262
``call_options``       how we call                                                RFC 3261 13.2.1
``redirection``        where else a call may go                                   RFC 3261 8.1.3.4, 19.1.5
``server_invitation``  an INVITE of a peer, up to our final response              RFC 3261 9.2, 13.3
``early_answers``      early dialogs, and what is said in them                    RFC 3261 13.3.1.1, RFC 3262
``incoming_invite``    what an INVITE says before it is answered                  RFC 3261 8.3, 12.1.1, 13.3
``answer_options``     how we answer                                              RFC 3261 13.3
``acknowledgement``    a 2xx again and again until its ACK comes                  RFC 3261 13.3.1.4
``modification``       who may change a session, and when; 491                    RFC 3261 14, RFC 3311, RFC 5407
``session_timer``      how long a session lasts without a refresh                 RFC 4028
``capabilities``       what the peer of a dialog can do                           RFC 3261 20.5, RFC 3840
=====================  =========================================================  =====================================
"""
