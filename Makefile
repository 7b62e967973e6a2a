# Aliases for habit; the command is ./crm, which needs no make.
up down status logs token reset test:
	./crm $@ $(ARGS)
check:
	.ci/run
.PHONY: up down status logs token reset test check
