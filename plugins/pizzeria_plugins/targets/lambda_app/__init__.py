"""The parts of the target `aws_lambda`: its options, what it renders, and what it does through boto3."""
