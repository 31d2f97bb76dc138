"""Publishing events: what we tell a server of ourselves, and what we keep for others (RFC 3903).

===============  ==============================================================  ==========================
module           what                                                            standard
===============  ==============================================================  ==========================
``publication``  one publication of ours                                         RFC 3903 sections 4 and 5
``compositor``   what peers publish here, kept, composed and told to others      RFC 3903 section 6
===============  ==============================================================  ==========================
"""
