#!/usr/bin/env bash
# Ask for what e-mails need, and write the answers into .env beside compose.yaml: the public address, the sender, the
# relay, the signature, and where bounces go. Variables that are set are not asked for. Run it again to change them.
set -euo pipefail
cd "$(dirname "$0")"
env_file=${ENV_FILE:-../.env}
umask 077
touch "$env_file"

stored() { sed -n "s/^$1=//p" "$env_file" | tail -n 1 | sed "s/^'\(.*\)'\$/\1/"; }
store() { # Names and values of other lines stay.
  local rest
  rest=$(grep -v "^$1=" "$env_file" || true)
  { [ -z "$rest" ] || printf '%s\n' "$rest"; [ -z "$2" ] || printf "%s='%s'\n" "$1" "$2"; } > "$env_file.new"
  mv "$env_file.new" "$env_file"
}
ask() { # variable, question, default
  local answer=${!1:-}
  if [ -z "$answer" ]; then
    answer=$(stored "$1")
    answer=${answer:-$3}
    if [ -t 0 ]; then
      read -r -p "$2${answer:+ [$answer]}: " typed
      answer=${typed:-$answer}
    fi
  fi
  case $answer in *"'"*) echo "$1: must not contain an apostrophe" >&2; exit 2 ;; esac
  store "$1" "$answer"
  printf -v "$1" '%s' "$answer"
}

echo "E-mails: press Enter to keep what is in brackets, or to leave a value out."
ask IMAGEBLUR_PUBLIC_URL "Public address of the pages, such as https://blur.example.org" ""
ask IMAGEBLUR_MAIL_FROM "Sender of e-mails, such as ImageBlur <blur@example.org>" ""
ask IMAGEBLUR_MAIL_REPLY_TO "Address for replies, if it is another" ""
ask IMAGEBLUR_SMTP_HOST "Mail server (relay) of your provider" ""
if [ -n "$IMAGEBLUR_SMTP_HOST" ]; then
  ask IMAGEBLUR_SMTP_PORT "Its port" 587
  ask IMAGEBLUR_SMTP_SECURITY "Its encryption: starttls, tls or none" starttls
  ask IMAGEBLUR_SMTP_USER "Its user" ""
  [ -z "$IMAGEBLUR_SMTP_USER" ] || ask IMAGEBLUR_SMTP_PASSWORD "Its password" ""
fi
domain=$(printf '%s' "${IMAGEBLUR_MAIL_FROM##*@}" | tr -d '<> ')
tag='+{id}' # each e-mail has its own, by which what comes back is matched
ask IMAGEBLUR_BOUNCE_ADDRESS "Where e-mails that come back go" "${domain:+bounces$tag@$domain}"
ask IMAGEBLUR_BOUNCE_IMAP_HOST "IMAP server of that mailbox, if it is to be read" ""
if [ -n "$IMAGEBLUR_BOUNCE_IMAP_HOST" ]; then
  ask IMAGEBLUR_BOUNCE_IMAP_USER "Its user" ""
  ask IMAGEBLUR_BOUNCE_IMAP_PASSWORD "Its password" ""
fi
ask IMAGEBLUR_MAILING_ZONE "Time zone of the newsletter, such as Europe/Moscow" UTC
ask SIGN_EMAILS "Sign e-mails (DKIM)? yes, or no if the relay does" "${domain:+yes}"
if [ "$SIGN_EMAILS" = yes ]; then
  store IMAGEBLUR_DKIM_KEY_FILE /run/secrets/dkim.pem
  ask IMAGEBLUR_DKIM_SELECTOR "Selector of the signature" imageblur
  [ -e secrets/dkim.pem ] || ./secrets.sh > /dev/null < /dev/null
  echo "Publish this record, or receivers ignore the signature:"
  echo "  $IMAGEBLUR_DKIM_SELECTOR._domainkey.$domain.  TXT  \"v=DKIM1; k=rsa; p=$(openssl rsa -in secrets/dkim.pem -pubout -outform DER 2>/dev/null | base64 | tr -d '\n')\""
else
  store IMAGEBLUR_DKIM_KEY_FILE ""
fi

[ -n "$IMAGEBLUR_PUBLIC_URL" ] || echo "! E-mails carry no links but commands for a shell, because IMAGEBLUR_PUBLIC_URL is not set."
[ -n "$IMAGEBLUR_SMTP_HOST" ] || echo "! E-mails stay in the mail catcher, because IMAGEBLUR_SMTP_HOST is not set: http://127.0.0.1:8025"
echo "Written to $(cd "$(dirname "$env_file")" && pwd)/$(basename "$env_file"). After docker compose up: imageblur admin check-mail ADDRESS. docs/deliverability.md has the other DNS records."
