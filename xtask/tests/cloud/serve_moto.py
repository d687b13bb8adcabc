"""moto's server, with change sets as AWS has them: they set a stack's outputs, parameters and template, too, and those
for a stack that was only looked at don't make a second one of the same name. The previous value of a parameter that nobody has
set is its default."""

import sys

from moto.cloudformation import models
from moto.server import main

apply = models.ChangeSet.apply
create = models.CloudFormationBackend.create_change_set
resolve = models.CloudFormationBackend._resolve_update_parameters


def apply_whole(self):
    apply(self)
    stack = self.stack
    stack.template, stack.parameters = self.template, self.parameters
    stack._parse_template()
    stack.output_map = stack._create_output_map()


def create_once(self, stack_name, *arguments, **named):
    for key, stack in list(self.stacks.items()):
        if stack.name == stack_name and stack.status == "REVIEW_IN_PROGRESS":
            del self.stacks[key]
    return create(self, stack_name, *arguments, **named)


def resolve_all(self, instance, incoming_params):
    instance.parameters = {**instance.stack_parameters, **instance.parameters}
    return resolve(self, instance, incoming_params)


models.ChangeSet.apply = apply_whole
models.CloudFormationBackend._resolve_update_parameters = resolve_all
models.CloudFormationBackend.create_change_set = create_once
main(sys.argv[1:])
