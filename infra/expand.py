"""Prints the template as CloudFormation sees it: SAM's own translator has expanded it, as it does in a deployment."""

import json
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.public.translator import ManagedPolicyLoader  # noqa: F401  (the loader's interface)
from samtranslator.translator.transform import transform


class NoManagedPolicies:
    """Nothing in the template names a managed policy by its short name, which is what the translator asks IAM for."""

    def load(self):
        return {}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        template = yaml_parse(file.read())
    for resource in template["Resources"].values():
        # sam package puts an address there.
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/" + resource["Metadata"]["BuildProperties"]["Binary"]
    json.dump(transform(template, {}, NoManagedPolicies()), sys.stdout, indent=1)


main()
