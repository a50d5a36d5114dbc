"""From random allowed states one thing is taken away; whoever a remedy names must be able to mend it, and no more."""
