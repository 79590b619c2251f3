"""The staff's desks: signing in, and one file a desk.

In:   HTTP below /desk.
Out:  pages for whoever is signed in and has the right.
Pure: no.
"""
