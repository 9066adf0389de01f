"""Mail to users, through the operator's server; without one nothing is sent."""

from __future__ import annotations

import logging
import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage

import gevent

from config import MailSettings

logger = logging.getLogger(__name__)

LIMIT_S = 15.0
MOST_AT_ONCE = 50


class Mailer:
    """Sends in greenlets of its own; a mail that cannot be sent is told to the log only."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._going = 0

    def send(self, to: str, subject: str, text: str) -> None:
        """Send soon. Never yields."""
        if not self._settings.smtp_host:
            logger.warning("no mail is sent: SMTP_HOST is not set")
        elif self._going >= MOST_AT_ONCE:
            logger.warning("no mail is sent: %d are on their way", self._going)
        else:
            self._going += 1
            gevent.spawn(self._send, to, subject, text)

    def _send(self, to: str, subject: str, text: str) -> None:
        settings = self._settings
        try:
            message = EmailMessage()
            sender = settings.mail_from or settings.smtp_user
            message["From"] = Address(settings.mail_sender_name, addr_spec=sender)
            message["To"] = Address(addr_spec=to)
            message["Subject"] = subject
            message.set_content(text)
            with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=LIMIT_S) as server:
                if settings.smtp_tls:
                    server.starttls(context=ssl.create_default_context())
                if settings.smtp_user:
                    server.login(settings.smtp_user, settings.smtp_pass)
                server.send_message(message)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            logger.warning("a mail could not be sent: %s", type(error).__name__)
        except Exception as error:  # noqa: BLE001 - an address the header classes stumble over
            logger.warning("a mail could not be written: %s", type(error).__name__)
        finally:
            self._going -= 1
