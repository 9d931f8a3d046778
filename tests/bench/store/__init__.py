"""`make bench-cas`: the chunk store beside what two bare threads can do, and beside other tools."""
