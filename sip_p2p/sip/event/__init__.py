"""Subscriptions, notifications and publications: what SIP makes of events (RFC 6665, RFC 3903).

Machines as those of :mod:`sip_p2p.sip.dialog`, whose dialogs they use: time is an argument, a request that they want to
be sent is an errand (:mod:`sip_p2p.sip.dialog.effects`), and what the application is to be told is an
:class:`~sip_p2p.sip.event.usage.EventEffect`. Start with :mod:`.usage`.

======================  =======================================================  =====================================
module                  what                                                     standard
======================  =======================================================  =====================================
``usage``               what a subscription is to its dialog, and what it says   RFC 6665 section 4.5, RFC 5057
``awaiting``            the dialogs that a NOTIFY may make                       RFC 6665 section 4.4.1
``subscription_state``  Subscription-State                                       RFC 6665 section 8.2.3
``terms``               what a SUBSCRIBE says to the one who is asked            RFC 6665 section 4.2.1
``rates``               how often a subscriber wants to be told                  RFC 6446
``notifier``            a peer's subscription, from SUBSCRIBE to last NOTIFY     RFC 6665 sections 4.2 and 4.4
``subscribing``         what a subscriber is asked for, and what it tells        RFC 6665 section 4.1, RFC 6446
``subscriber``          a subscription of ours: the machine                      RFC 6665 section 4.1, RFC 5839
``first_notify``        who may answer a SUBSCRIBE, and the dialog of it         RFC 6665 section 4.4.1
``retrying``            whether and when a subscription is begun anew            RFC 6665 section 4.1.3
``publisher``           a publication of ours: the machine                       RFC 3903 sections 4 and 5
``refer``               Refer-To, Referred-By, Refer-Sub, Refer-Events-At        RFC 3515, 3892, 4488, 7614
``referring``           a REFER of ours, and the subscription that it makes      RFC 3515 section 2.4, RFC 4488
======================  =======================================================  =====================================
"""
