"""The event packages that come with the stack.

===================  ========================================================  ============================
module               what                                                      standard
===================  ========================================================  ============================
``resources``        what packages share that have one document per resource
``presence``         who can be reached, and what they do                      RFC 3856, RFC 3863, RFC 4479
``message_summary``  how many messages wait                                    RFC 3842
``dialogs``          the sessions of a party, as others may see them           RFC 4235
===================  ========================================================  ============================
"""
