"""Where rows are done: each engine takes units of rows as workers get free, and gives back what came of each row."""
