"""What the demo model says: recognises request words, answers from fixed texts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

FAILS_MIDWAY_AFTER = 12

_PIECE = re.compile(r"[ \t]*[A-Za-z0-9_']+|[ \t]*[\u3400-\u9fff\u3040-\u30ff\uac00-\ud7af]{1,2}|\n+|[ \t]*.", re.DOTALL)
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_WORDS = {
    "table": re.compile(r"\b(table|markdown)\b|表格|制表", re.IGNORECASE),
    "code": re.compile(r"\b(code|program|markdown)\b|代码|程序", re.IGNORECASE),
    "formula": re.compile(r"\b(formulas?|formulae|equation|math|markdown)\b|公式|方程", re.IGNORECASE),
    "long": re.compile(r"\blong\b|长文|长篇|很长", re.IGNORECASE),
    "markdown": re.compile(r"\bmarkdown\b", re.IGNORECASE),
}
_SLOW = re.compile(r"\bslow(ly)?\b|慢", re.IGNORECASE)
_REASONING = re.compile(r"\b(reason(ing)?|think)\b|推理|思考", re.IGNORECASE)
_ECHO = re.compile(r"\s*(?:please\s+)?(?:echo|repeat|复述|重复)\s*[:：]?\s*(.+)", re.IGNORECASE | re.DOTALL)
_ERROR = re.compile(r"\berrors?\b|\bfail\b|错误|出错|报错", re.IGNORECASE)
_MIDWAY = re.compile(r"\bmid-?way\b|中途|半途", re.IGNORECASE)
_QUESTION = re.compile(r"[?？]|\b(what|why|how|when|which|fix|explain)\b|什么|怎么|为何|为什么|如何|吗", re.IGNORECASE)
_ERROR_WISH_LETTERS = 32  # a longer text that speaks of an error is a question, not a wish to see one


@dataclass(frozen=True, slots=True)
class Script:
    """One answer, decided before the first piece.

    Attributes:
        fails_after: Pieces after which the answer breaks off; 0 before the first, None never.
    """

    text: str
    reasoning: str = ""
    slow: bool = False
    fails_after: int | None = None


def read_request(question: str) -> Script:
    """What to say to a question, in its language."""
    chinese = bool(_CHINESE.search(question))
    if echo := _ECHO.match(question):
        return Script(echo.group(1))
    language = "zh" if chinese else "en"
    parts = [_PARTS[name][language] for name, word in _WORDS.items() if name in _PARTS and word.search(question)]
    fails_after = None
    if _ERROR.search(question) and len(question) <= _ERROR_WISH_LETTERS and not _QUESTION.search(question):
        fails_after = FAILS_MIDWAY_AFTER if _MIDWAY.search(question) else 0
    return Script(
        text="\n\n".join(parts) if parts else _INTRODUCTION[language].format(question=_quoted(question)),
        reasoning=_REASONS[language] if _REASONING.search(question) else "",
        slow=bool(_SLOW.search(question)),
        fails_after=fails_after,
    )


def split(text: str) -> Iterator[str]:
    """Cut a text into pieces the size of a token; joined they are the text again."""
    return (match.group() for match in _PIECE.finditer(text))


def _quoted(question: str) -> str:
    line = " ".join(question.split())
    return line if len(line) <= 60 else line[:59] + "…"


_INTRODUCTION = {
    "en": (
        "I am the **demo model** of this server. I have no intelligence: I answer every question with this text, so"
        " that you can see an answer stream in before you add a real model. You wrote: “{question}”.\n\n"
        "**To talk to a real model**, put one of these lines into the file `.env` and start the server again:\n\n"
        "- `OPENAI_API_KEY=sk-...` for OpenAI, with `OPENAI_BASE_URL` for any server that speaks its language\n"
        "- `DEEPSEEK_API_KEY=sk-...` for DeepSeek\n"
        "- `DASHSCOPE_API_KEY=sk-...` for Qwen\n"
        "- nothing at all for Ollama: it is found when it runs on this machine\n\n"
        "**To try this page**, ask me for `markdown`, a `table`, some `code`, a `formula`, a `long` text, a `slow` one,"
        " `reasoning`, an `error` or an `error midway`, or say `echo` and anything you like."
    ),
    "zh": (
        "我是本服务器的**演示模型**，没有智能：无论问什么，我都用这段文字回答，"
        "让您在接入真正的模型之前先看到逐字流式的效果。"
        "您写的是：“{question}”。\n\n"
        "**要与真正的模型对话**，请在 `.env` 文件中写入下面任意一行，然后重新启动服务器：\n\n"
        "- `DASHSCOPE_API_KEY=sk-...`：通义千问\n"
        "- `DEEPSEEK_API_KEY=sk-...`：DeepSeek\n"
        "- `OPENAI_API_KEY=sk-...`：OpenAI；其他兼容的服务再加上 `OPENAI_BASE_URL`\n"
        "- Ollama 无需设置：只要它在本机运行，就会被自动发现\n\n"
        "**要试用这个页面**，可以让我输出 `Markdown`、`表格`、`代码`、`公式`、`长文`，"
        "或者 `慢` 一点、带上 `推理`、制造一次 `错误` 或 `中途错误`，也可以说 `复述` 加任意文字。"
    ),
}

_REASONS = {
    "en": (
        "The question asks to see reasoning. I cannot reason, so I show what it looks like: first I note what is asked,"
        " then I weigh two ways to answer, then I choose the shorter one."
    ),
    "zh": "用户想看推理过程。我并不会推理，所以只演示它的样子：先弄清问题，再比较两种回答方式，最后选择更短的一种。",
}

_TABLE_ROWS = (
    "| ---: | :--- | ---: | ---: |\n"
    "| 1 | Mercury | 0.39 | 88 |\n| 2 | Venus | 0.72 | 225 |\n| 3 | Earth | 1.00 | 365 |\n| 4 | Mars | 1.52 | 687 |"
)
_CODE = (
    "```python\n"
    "def fibonacci(count: int) -> list[int]:\n"
    '    """The first numbers of the sequence."""\n'
    "    numbers = [0, 1]\n"
    "    while len(numbers) < count:\n"
    "        numbers.append(numbers[-1] + numbers[-2])\n"
    "    return numbers[:count]\n\n\n"
    "print(fibonacci(10))  # [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]\n"
    "```"
)
_FORMULAS = (
    "$$x_{1,2} = \\frac{-b \\pm \\sqrt{b^2 - 4ac}}{2a}$$\n\n"
    "$$\\int_{-\\infty}^{\\infty} e^{-x^2}\\,dx = \\sqrt{\\pi}$$"
)


def _long(language: str) -> str:
    if language == "zh":
        return "\n\n".join(
            f"### 第 {number} 节\n\n这是演示模型的长文，共四十节，现在是第 {number} 节。每一节都说同样的话，"
            "以便您观察页面在长回答下是否流畅、滚动是否跟随、停止按钮是否立即生效，以及刷新之后文字是否完整。"
            for number in range(1, 41)
        )
    return "\n\n".join(
        f"### Section {number}\n\nThis is the demo model's long text, section {number} of forty. Every section says the"
        " same, so that you can watch whether the page stays smooth, follows the end, stops at once when asked, and"
        " shows the whole text again after a reload."
        for number in range(1, 41)
    )


_PARTS = {
    "markdown": {
        "en": "## Other marks\n\nText can be **bold**, *italic*, ~~struck~~ or `code`.\n\n1. first\n2. second\n"
        "   - nested\n\n> A quotation.\n\n[A link](https://example.com/) and a line:\n\n---",
        "zh": "## 其他标记\n\n文字可以**加粗**、*倾斜*、~~删除~~或写成 `代码`。\n\n1. 第一\n2. 第二\n   - 嵌套\n\n"
        "> 一段引文。\n\n[一个链接](https://example.com/)和一条线：\n\n---",
    },
    "table": {
        "en": f"## A table\n\n| # | Planet | Distance (AU) | Year (days) |\n{_TABLE_ROWS}",
        "zh": f"## 表格\n\n| 序号 | 行星 | 距离（天文单位） | 公转（天） |\n{_TABLE_ROWS}",
    },
    "code": {
        "en": f"## Code\n\nThe Fibonacci numbers in Python:\n\n{_CODE}",
        "zh": f"## 代码\n\n用 Python 计算斐波那契数列：\n\n{_CODE}",
    },
    "formula": {
        "en": f"## Formulas\n\nInline, as in $e^{{i\\pi}} + 1 = 0$, and set apart:\n\n{_FORMULAS}",
        "zh": f"## 公式\n\n行内公式如 $e^{{i\\pi}} + 1 = 0$，独立公式如：\n\n{_FORMULAS}",
    },
    "long": {"en": f"# A long text\n\n{_long('en')}", "zh": f"# 长文\n\n{_long('zh')}"},
}
