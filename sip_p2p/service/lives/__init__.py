"""What a service knows of what lives on beside sessions: subscriptions on both sides, publications, referrals,
registrations, and the messages of its outbox. Each has a number by which events, hooks and the HTTP API mean it.

===================  ===============================================================================================
module               what
===================  ===============================================================================================
``book``             entries by their numbers, and for a while those of what has ended
``entries``          what is said of each kind, as JSON
``ledger``           the part of the service that keeps the books, and tells what happens
``referrals``        the REFERs of peers that wait for a decision
``names``            names of parties in options
``replacing``        who may take over a session, as ``--replaces`` says
``standing``         the subscriptions that ``--subscribe`` asks for
``outbox``           the part of the service that opens ``--outbox``
``packages``         the event packages of ``--package``, who may watch, and who may publish
===================  ===============================================================================================
"""
