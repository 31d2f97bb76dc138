"""Transfer: asking a peer to call somebody else, doing so when asked, and putting one session in another's place
(group I of the acceptance rows; RFC 3515, RFC 3891, RFC 3911, RFC 5589).

Start with :mod:`.states`.

=======================  ==============================================================================================
module                   what
=======================  ==============================================================================================
``states``               how far a referral is, in UCMA's words, and what is told of it
``replacing``            sessions that take another one's place, or are added to it
=======================  ==============================================================================================
"""
