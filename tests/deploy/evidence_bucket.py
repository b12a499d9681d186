"""What deploy/objects/prepare.sh does, on the tests' S3 server: bucket, user, policy."""

import json

from minio import Minio

from deploy.county import HERE
from tests.servers.ceph import Ceph

POLICY = HERE / "objects" / "application-policy.json"


def prepare(server: Ceph, bucket: str, access_key: str, secret_key: str) -> None:
    """Make the bucket by the root key, and a user who may do what the shipped policy grants."""
    server.add_user("application", access_key, secret_key)
    root = Minio(server.endpoint, server.access_key, server.secret_key, secure=False)
    root.make_bucket(bucket, object_lock=True)
    policy = json.loads(POLICY.read_text(encoding="utf-8"))
    who = {"AWS": ["arn:aws:iam:::user/application"]}
    policy["Statement"] = [{**each, "Principal": who} for each in policy["Statement"]]
    root.set_bucket_policy(bucket, json.dumps(policy))
