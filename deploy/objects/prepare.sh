#!/bin/sh
# Make the bucket, versioned and with Object Lock, and the application's own key with its policy.
# usage: prepare.sh URL BUCKET, with the store's root key in /run/secrets/root and the
# application's in /run/secrets/office. Runs in the store's image, by its own client; may be
# repeated. Nobody else is handed the root key.
set -eu
url=$1 bucket=$2
policy=$(dirname "$0")/application-policy.json

secret() { cat "/run/secrets/$1"; }
MC_HOST_county="${url%%://*}://$(secret root/root-user):$(secret root/root-password)@${url#*://}"
export MC_HOST_county

mcli mb --quiet --ignore-existing --with-lock "county/$bucket"
# Keys go by standard input: a command line can be read by others.
application=$(secret office/objects-access-key)
printf '%s\n%s\n' "$application" "$(secret office/objects-secret-key)" |
  mcli admin user add --quiet county >/dev/null
mcli admin policy create --quiet county liuhen-application "$policy" >/dev/null
mcli admin policy entities --user "$application" county | grep -q liuhen-application ||
  mcli admin policy attach --quiet county liuhen-application --user "$application" >/dev/null
