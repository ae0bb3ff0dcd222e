"""The engine as actors of Ray: starting, finding and ending them. Ray is imported by none of these
modules; they are used where the process has it already.
"""
