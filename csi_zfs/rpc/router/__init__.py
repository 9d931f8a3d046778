"""The router of a cluster: CSI calls go to the node that has the pool.

It keeps nothing that matters: ids say on which pool a thing is, and agents say which pools they
have.  See docs/explanation/cluster.md.
"""
