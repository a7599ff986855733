"""What the next attempt of a task changes in its request, decided by why the jobs of the earlier ones failed."""
