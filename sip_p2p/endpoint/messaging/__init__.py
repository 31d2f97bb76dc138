"""Texts between parties, with all that people expect of them: reports, that somebody is writing, and an outbox.

``endpoint.send_message`` and ``endpoint.message_received`` are MESSAGE itself. A
:class:`~sip_p2p.endpoint.messaging.messenger.Messenger` beside them knows conversations; an
:class:`~sip_p2p.endpoint.messaging.outbox.Outbox` keeps what cannot be delivered yet, in a file. Start with
:mod:`~sip_p2p.endpoint.messaging.messenger`.

===================  ==================================================================================  =============
module               what                                                                                standard
===================  ==================================================================================  =============
``messenger``        texts out and in, their reports, who is writing                                     RFC 3428
``conversation``     what goes to one other party, in order, and whether anybody writes                  RFC 3994
``message``          one text of ours and what becomes of it; one text of somebody else                  RFC 5438
``reports``          the reports on our texts, and those that others want                                RFC 5438
``envelope``         the ``message/cpim`` around a text, written and read                                RFC 3862
``outbox``           messages that are kept until they are delivered, have failed or are too old
``outbox_sending``   their way: one after the other to each party, each step written down
``outbox_entry``     one of them, and how many there may be
``outbox_store``     their file: each function is one transaction
``outbox_database``  the thread in which it is used
``outbox_policy``    whether an attempt that failed is followed by another one                           RFC 3261 21
===================  ==================================================================================  =============
"""
