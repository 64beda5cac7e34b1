"""Many runs read together: one table each for what a study of intelligence per watt asks."""
