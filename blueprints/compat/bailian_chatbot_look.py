"""How bailian-chatbot's widget looks, checked: it pastes what it is given into its page. Pure."""

from __future__ import annotations

import re
from typing import Any

from config import ChatbotSettings, ConfigError

VISITOR, BOT = (
    "data:image/svg+xml,%3Csvg%20xmlns=%22http://www.w3.org/2000/svg%22%20viewBox=%220%200%208%208%22%3E"
    f"%3Ccircle%20cx=%224%22%20cy=%224%22%20r=%224%22%20fill=%22%23{colour}%22/%3E%3C/svg%3E"
    for colour in ("8899aa", "3377cc")
)
"""Pictures that need no address: the widget's page is another site's."""
_UNFIT = re.compile(r"[\"'\\<>\r\n`]")


def look_of(settings: ChatbotSettings) -> dict[str, Any]:
    """The body of `chat-bot-config`.

    Raises:
        ConfigError: A text could break out of the widget's page, or a button is not `text=prompt`.
    """
    buttons = []
    for written in settings.buttons:
        text, equals, prompt = (part.strip() for part in written.partition("="))
        if not (text and equals and prompt):
            raise ConfigError(
                f"CHATBOT_BUTTONS must read text=prompt,..., not {written!r}.",
                f"CHATBOT_BUTTONS 应写作 文字=问题,...，而不是 {written!r}。",
            )
        buttons.append({"buttonText": text, "buttonPrompt": prompt})
    look = {
        "botStatus": 1 if settings.online else 0,
        "StartUpMessage": settings.welcome,
        "fontSize": str(settings.font_size),
        "userAvatarURL": settings.user_avatar or VISITOR,
        "botImageURL": settings.bot_image or BOT,
        "commonButtons": buttons,
    }
    pasted = [text for button in buttons for text in button.values()]
    for text in (settings.user_avatar, settings.bot_image, *pasted):
        if _UNFIT.search(text):
            raise ConfigError(
                f"CHATBOT_... settings hold no quotes, backslashes, angle brackets or line ends, as {text!r} does.",
                f"CHATBOT_... 的值中不能有引号、反斜杠、尖括号或换行，而 {text!r} 中有。",
            )
    return look
