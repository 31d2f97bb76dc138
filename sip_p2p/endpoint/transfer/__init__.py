"""Transfer: asking a peer to call somebody else, doing so when asked, and putting one session in another's place
(group I of the acceptance rows; RFC 3515, RFC 3891, RFC 3911, RFC 5589).

Start with :mod:`.states`.

=======================  ==============================================================================================
module                   what
=======================  ==============================================================================================
``states``               how far a referral is, in UCMA's words, and what is told of it
``referring``            a REFER to a peer, transfer by one call
``referral``             one of these, and what the peer tells of it
``transferable``         what a session can do of this
``referring_party``      what a party can do of this
``referrals``            the REFERs that peers send: to whom they go
``incoming_referral``    one of these, from the decision to the last that its sender is told
``explicit``             where one may subscribe to what becomes of it
``following``            doing what it asks for
``replacing``            sessions that take another one's place, or are added to it
=======================  ==============================================================================================
"""
