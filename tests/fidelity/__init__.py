"""The façade beside the simulator: the same steps at both, in one process and loop, and the replies held together.

`steps` has what can be done, `forms` how a toolkit may write it, `sides` who is asked, `play` holds their replies
together. A difference that is meant is a row of `differences`, which docs/facade.md shows.
"""
