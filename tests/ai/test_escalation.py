"""What a patient's words are taken for, in every language, and what it costs to read them."""

import re
import sys
import time
import unicodedata
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.escalation import GAP, LANGUAGES, detect, split
from ai.phrases.arabic import ARABIC
from ai.phrases.english import ENGLISH
from ai.phrases.french import FRENCH
from ai.phrases.german import GERMAN
from ai.phrases.hindi import HINDI
from ai.phrases.hinglish import HINGLISH
from ai.phrases.language import Language
from ai.phrases.portuguese import PORTUGUESE
from ai.phrases.spanish import SPANISH
from rooms.events import Trigger

RED_FLAGS: list[tuple[Language, str, str]] = [
    (ENGLISH, "chest pain", "I have chest pain"),
    (ENGLISH, "chest pain", "my chest feels really tight since this morning"),
    (ENGLISH, "chest pain", "there is a crushing pain in the middle of my chest"),
    (ENGLISH, "chest pain", "No, I have chest pain!"),
    (ENGLISH, "chest pain", "no i have chest pain"),
    (ENGLISH, "chest pain", "Allergies: no\nChest pain: yes"),
    (ENGLISH, "chest pain", "CHEST PAIN AND SWEATING"),
    (ENGLISH, "chest pain", "I have chest pain. My blood pressure is high."),
    (ENGLISH, "heart attack", "I think my husband is having a heart attack"),
    (ENGLISH, "trouble breathing", "I can’t breathe"),
    (ENGLISH, "trouble breathing", "i cant breath properly"),
    (ENGLISH, "trouble breathing", "she has difficulty breathing"),
    (ENGLISH, "trouble breathing", "My father is not breathing"),
    (ENGLISH, "trouble breathing", "can't breeeathe"),
    (ENGLISH, "suicide or self-harm", "I want to die"),
    (ENGLISH, "suicide or self-harm", "I am going to kill myself"),
    (ENGLISH, "suicide or self-harm", "I don't want to live anymore"),
    (ENGLISH, "suicide or self-harm", "I feel suicidal"),
    (ENGLISH, "suicide or self-harm", "thoughts of self-harm"),
    (ENGLISH, "signs of a stroke", "his face is drooping on one side"),
    (ENGLISH, "signs of a stroke", "suddenly she cannot speak"),
    (ENGLISH, "signs of a stroke", "I think she had a stroke an hour ago"),
    (ENGLISH, "severe bleeding", "the wound is bleeding heavily"),
    (ENGLISH, "severe bleeding", "the bleeding won't stop"),
    (ENGLISH, "severe bleeding", "I am coughing up blood"),
    (ENGLISH, "loss of consciousness", "he is unconscious"),
    (ENGLISH, "loss of consciousness", "she passed out and won't wake up"),
    (ENGLISH, "overdose or poisoning", "I took too many sleeping pills"),
    (ENGLISH, "overdose or poisoning", "He OD'd on tylenol"),
    (ENGLISH, "overdose or poisoning", "my son swallowed bleach"),
    (ENGLISH, "severe allergic reaction", "my throat is closing"),
    (ENGLISH, "severe allergic reaction", "anaphylactic shock after the antibiotic"),
    (ENGLISH, "seizure", "my daughter is having a seizure"),
    (ENGLISH, "emergency", "please call an ambulance"),
    (ENGLISH, "emergency", "This is an emergency"),
    (SPANISH, "chest pain", "Tengo dolor en el pecho"),
    (SPANISH, "chest pain", "me duele mucho el pecho"),
    (SPANISH, "trouble breathing", "no puedo respirar"),
    (SPANISH, "suicide or self-harm", "quiero morir"),
    (SPANISH, "suicide or self-harm", "pienso en el suicidio, ya no quiero vivir"),
    (SPANISH, "heart attack", "mi padre está teniendo un infarto"),
    (SPANISH, "severe bleeding", "estoy sangrando mucho"),
    (SPANISH, "loss of consciousness", "mi madre se desmayó"),
    (SPANISH, "severe allergic reaction", "se me cierra la garganta"),
    (SPANISH, "overdose or poisoning", "tomé demasiadas pastillas"),
    (SPANISH, "signs of a stroke", "tiene la cara caída y de repente no puede hablar"),
    (SPANISH, "seizure", "mi hijo tiene convulsiones"),
    (FRENCH, "chest pain", "J'ai une douleur thoracique"),
    (FRENCH, "chest pain", "j’ai très mal à la poitrine"),
    (FRENCH, "trouble breathing", "je n'arrive pas à respirer"),
    (FRENCH, "trouble breathing", "je narrive plus a réspirer"),
    (FRENCH, "suicide or self-harm", "je veux mourir"),
    (FRENCH, "suicide or self-harm", "Je pense au suicide"),
    (FRENCH, "signs of a stroke", "je crois qu'il fait un AVC"),
    (FRENCH, "severe bleeding", "il saigne beaucoup"),
    (FRENCH, "loss of consciousness", "ma mère a perdu connaissance"),
    (FRENCH, "overdose or poisoning", "j'ai avalé trop de médicaments"),
    (FRENCH, "severe allergic reaction", "ma gorge commence à gonfler"),
    (FRENCH, "seizure", "mon fils a des convulsions"),
    (GERMAN, "chest pain", "Ich habe starke Brustschmerzen"),
    (GERMAN, "trouble breathing", "ich kann nicht atmen"),
    (GERMAN, "trouble breathing", "Ich bekomme keine Luft"),
    (GERMAN, "suicide or self-harm", "Ich will nicht mehr leben"),
    (GERMAN, "signs of a stroke", "meine Frau hat einen Schlaganfall"),
    (GERMAN, "loss of consciousness", "er ist bewusstlos"),
    (PORTUGUESE, "chest pain", "estou com muita dor no peito"),
    (PORTUGUESE, "trouble breathing", "não consigo respirar"),
    (PORTUGUESE, "suicide or self-harm", "eu penso em suicídio, não quero mais viver"),
    (PORTUGUESE, "loss of consciousness", "minha mãe desmaiou"),
    (ARABIC, "chest pain", "عندي ألم شديد في صدري"),
    (ARABIC, "chest pain", "أَشْعُرُ بِأَلَمٍ فِي الصَّدْرِ"),
    (ARABIC, "trouble breathing", "لا أستطيع التنفس"),
    (ARABIC, "trouble breathing", "مش قادر اتنفس"),
    (ARABIC, "trouble breathing", "عندي ضيق في التنفس"),
    (ARABIC, "suicide or self-harm", "أريد أن أموت"),
    (ARABIC, "suicide or self-harm", "أفكر في الانتحار"),
    (ARABIC, "heart attack", "أبي عنده نوبة قلبية"),
    (ARABIC, "severe bleeding", "نـــزيف شديد"),
    (ARABIC, "loss of consciousness", "أمي أغمي عليها"),
    (ARABIC, "seizure", "ابني يتشنج"),
    (ARABIC, "severe allergic reaction", "حلقي يتورم"),
    (ARABIC, "overdose or poisoning", "أخذت جرعة زائدة"),
    (HINDI, "chest pain", "मुझे सीने में बहुत तेज दर्द हो रहा है"),
    (HINDI, "trouble breathing", "साँस नहीं आ रही है"),
    (HINDI, "trouble breathing", "सांस लेने में तकलीफ हो रही है"),
    (HINDI, "suicide or self-harm", "मैं मरना चाहता हूं"),
    (HINDI, "suicide or self-harm", "मैं आत्महत्या के बारे में सोच रही हूँ"),
    (HINDI, "suicide or self-harm", "जीने की इच्छा नहीं है"),
    (HINDI, "heart attack", "पिताजी को दिल का दौरा पड़ा"),
    (HINDI, "severe bleeding", "खून बंद नहीं हो रहा"),
    (HINDI, "loss of consciousness", "वह बेहोश हो गई"),
    (HINDI, "signs of a stroke", "चेहरा एक तरफ लटक गया है"),
    (HINDI, "overdose or poisoning", "उसने ज़हर खा लिया"),
    (HINGLISH, "chest pain", "mujhe seene me dard ho raha hai"),
    (HINGLISH, "chest pain", "mujhe bahut chest pain ho raha hai"),
    (HINGLISH, "trouble breathing", "saans nahi aa rahi"),
    (HINGLISH, "trouble breathing", "saas lene mein dikkat hai"),
    (HINGLISH, "suicide or self-harm", "main marna chahta hun"),
    (HINGLISH, "loss of consciousness", "papa behosh ho gaye"),
]
WISHES = [
    "talk to a person", "can someone help", "Can someone help me with a visa?", "real person",
    "I want to speak to a human", "speak to a human", "I want an agent",
    "I need a coordinator please", "stop the bot", "can i talk to a real person pls",
    "let me speak with your coordinator", "HUMAN", "agent please",
    "Is there a human I can talk to?", "connect me to an agent",
    "please transfer me to a representative", "I'd like to talk to somebody", "is anyone there?",
    "I don't want to talk to a bot", "no more bots", "can someone heeeelp me",
    "please call me back", "I would like to speak to a doctor", "can anybody call me?",
    "why can't I talk to a human", "no, I want a human", "human support please",
    "I want talk human", "quiero hablar con una persona", "¿Alguien me puede ayudar?",
    "necesito un agente", "¿puedo hablar con un humano?", "páseme con un asesor",
    "no quiero hablar con un robot", "¿puede alguien ayudarme con el visado?",
    "persona real por favor", "je veux parler à une personne", "parler à un humain",
    "quelqu'un peut m'aider ?", "est-ce que quelqu’un peut m’aider ?",
    "je voudrais parler à un conseiller", "passez-moi un conseiller",
    "je ne veux plus parler à un robot", "un humain s'il vous plaît",
    "Ich möchte mit einem Menschen sprechen", "kann mir jemand helfen?",
    "einen Mitarbeiter sprechen, mit einem Mitarbeiter sprechen", "quero falar com uma pessoa",
    "alguém pode me ajudar?", "quero falar com um atendente", "أريد التحدث مع شخص",
    "اريد التحدث إلى شخص حقيقي", "هل يمكن لأحد مساعدتي؟", "ممكن حد يساعدني", "بدي احكي مع موظف",
    "عايز اكلم حد", "أريد موظف", "मुझे किसी इंसान से बात करनी है", "क्या कोई मेरी मदद कर सकता है?",
    "मुझे एजेंट चाहिए", "किसी से बात करवाइए", "बॉट बंद करो", "kisi insaan se baat karni hai",
    "mujhe agent chahiye", "koi meri help kar sakta hai?", "real person se baat karao",
]  # fmt: skip
NO_RED_FLAGS = [
    "I have no chest pain", "no chest pain", "I don't have any chest pain", "without chest pain",
    "I do not have difficulty breathing", "Chest pain: no.", "Chest pain? No.",
    "never had seizures", "she has not fainted",
    "no history of stroke", "my chest has no pain", "no signs of stroke", "no severe bleeding",
    "I am not suicidal", "no thoughts of suicide", "My father died of a heart attack in 1999",
    "I had a stroke in 2019", "heart attack three years ago", "family history of stroke",
    "stroke rehabilitation in Turkey", "what is the risk of stroke during surgery?",
    "I can't breathe through my nose", "do you have an emergency number?",
    "I am dying to see the results", "a lot of blood tests", "my blood pressure is high",
    "chest x-ray attached", "breast reduction price", "my heart is fine",
    "I need a passport and a blue folder", "I can't speak English",
    "will I be unconscious during surgery?", "sin dolor de pecho", "no tengo dolor de pecho",
    "no me duele el pecho", "nunca tuve convulsiones", "antecedentes de infarto",
    "no tengo dificultad para respirar", "quiero que mi hijo coma bien",
    "pas de douleur thoracique", "je n'ai pas de douleur thoracique",
    "je n'ai pas mal à la poitrine", "aucune douleur thoracique", "sans difficulté à respirer",
    "risque d'AVC", "mal au coeur", "keine Brustschmerzen", "Ich habe keine Atemnot",
    "Risiko für Schlaganfall", "sem dor no peito", "não tenho dor no peito",
    "لا يوجد ألم في الصدر", "ليس لدي ألم في الصدر", "بدون ألم في الصدر", "طولي ١٧٠ سم",
    "سكتة دماغية قبل ثلاث سنوات", "सीने में दर्द नहीं है", "सांस लेने में कोई तकलीफ नहीं है",
    "तीन साल पहले लकवा हुआ था", "खून की जांच", "seene me dard nahi hai",
    "saans lene mein koi dikkat nahi hai", "3 saal pehle heart attack aaya tha, ab theek hu",
]  # fmt: skip
NO_WISHES = [
    "the doctor is a nice person", "how many people work in the hospital?", "I am a real person",
    "are you a real person?", "I am not a robot", "thank you for your help",
    "someone helped me yesterday", "I don't want to talk to a person",
    "I will talk to my doctor first", "my agent booked the flight", "the travel agent is slow",
    "human anatomy is complex", "I have a coordinator already", "what does the coordinator do?",
    "should I stop the medication?", "can you help me with a visa?",
    "I spoke to a person at the embassy", "does the robot surgery cost more?", "my name is Person",
    "call me Anna", "the hospital staff was kind", "I want someone to pick me up at the airport",
    "how much is one person in the room?", "Is the price per person?", "every human is different",
    "no quiero hablar con una persona", "la persona que me acompaña es mi hijo",
    "el doctor es muy humano", "¿cuántas personas trabajan en el hospital?",
    "soy una persona real", "une personne m'accompagne", "je ne veux pas parler à une personne",
    "combien de personnes travaillent ici", "je suis une personne réelle",
    "Wie viele Menschen arbeiten im Krankenhaus?", "Ich bin ein echter Mensch",
    "a pessoa que vai comigo é minha mãe", "كم شخص يعمل في المستشفى؟", "هذا الطبيب إنسان رائع",
    "अस्पताल में कितने लोग काम करते हैं?", "डॉक्टर अच्छे इंसान हैं",
    "mujhe insaan se baat nahi karni", "doctor acche insaan hai",
]  # fmt: skip
HARMLESS = NO_RED_FLAGS + NO_WISHES
ALARMING = [text for _, _, text in RED_FLAGS] + WISHES
ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad"


@pytest.mark.parametrize(("language", "flag", "text"), RED_FLAGS)
def test_a_red_flag_is_found_and_answered_in_its_language(
    language: Language, flag: str, text: str
) -> None:
    alarm = detect(text)
    assert alarm is not None
    assert alarm.trigger is Trigger.RED_FLAG
    assert flag in alarm.reason
    assert alarm.safety in (language.emergency, language.crisis)
    assert (alarm.safety == language.crisis) == ("suicide" in alarm.reason)


@pytest.mark.parametrize("text", WISHES)
def test_a_wish_for_a_person_is_found(text: str) -> None:
    alarm = detect(text)
    assert alarm is not None
    assert alarm.trigger is Trigger.PHRASE
    assert alarm.reason == "asked for a person"
    assert alarm.safety is None


@pytest.mark.parametrize("text", NO_RED_FLAGS)
def test_what_is_denied_or_long_past_raises_no_red_flag(text: str) -> None:
    assert detect(text) is None


@pytest.mark.parametrize("text", NO_WISHES)
def test_talk_about_persons_is_no_wish_for_one(text: str) -> None:
    assert detect(text) is None


def test_a_red_flag_wins_over_a_wish() -> None:
    alarm = detect("I want to talk to a person, I have chest pain and I can't breathe")
    assert alarm is not None
    assert alarm.trigger is Trigger.RED_FLAG
    assert alarm.reason == "red flag: chest pain, trouble breathing"


def test_a_wish_to_die_decides_the_safety_text() -> None:
    alarm = detect("I took an overdose, I want to die")
    assert alarm is not None
    assert alarm.safety == ENGLISH.crisis
    assert alarm.reason == "red flag: suicide or self-harm, overdose or poisoning"


def test_a_denial_does_not_hide_what_comes_after_it() -> None:
    alarm = detect("No chest pain. But I cannot breathe.")
    assert alarm is not None
    assert alarm.reason == "red flag: trouble breathing"


def test_an_old_illness_does_not_hide_a_new_one() -> None:
    alarm = detect("I had a stroke in 2019. Now I have chest pain after the flight.")
    assert alarm is not None
    assert alarm.reason == "red flag: chest pain"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_safety_text_names_no_single_country_and_promises_nobody(language: Language) -> None:
    for text in (language.emergency, language.crisis):
        assert "112" in text
        assert "911" in text
        assert len(text) < 500
    assert "findahelpline.com" in language.crisis
    assert "findahelpline.com" not in language.emergency


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_safety_text_raises_no_alarm_of_its_own_for_suicide(language: Language) -> None:
    alarm = detect(language.emergency)
    assert alarm is None or alarm.safety != language.crisis


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_phrase_begins_or_ends_with_what_may_be_missing(language: Language) -> None:
    for table in (language.wishes, language.harmless, *language.flags.values()):
        for phrase in re.sub(r"\s*\|\s*", "|", table).split(","):
            slots = phrase.split()
            assert slots, "an empty phrase"
            for edge in (slots[0], slots[-1]):
                assert not edge.endswith("?"), phrase
                assert edge not in GAP, phrase


@given(st.text(st.characters(), max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    detect(text)


@given(st.lists(st.sampled_from(" ".join(ALARMING + HARMLESS).split()), max_size=60))
def test_any_mixture_of_its_words_can_be_read(words: list[str]) -> None:
    detect(" ".join(words))


@given(st.sampled_from(ALARMING + HARMLESS), st.data())
def test_invisible_characters_change_nothing(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    invisible = data.draw(st.sampled_from(ZERO_WIDTH))
    assert detect(text[:at] + invisible + text[at:]) == detect(text)


@given(st.sampled_from(ALARMING + HARMLESS), st.integers(1, 5), st.sampled_from(" \t\u00a0\u3000"))
def test_wider_spaces_change_nothing(text: str, times: int, space: str) -> None:
    wide = f"{space}{text.replace(' ', space * times)}{space}"
    assert detect(wide) == detect(text)


@given(
    st.sampled_from(ALARMING + HARMLESS),
    st.sampled_from([str.upper, str.lower, str.title, str.swapcase]),
)
def test_case_changes_nothing(text: str, change: Callable[[str], str]) -> None:
    assert detect(change(text)) == detect(text)


@given(st.sampled_from(ALARMING + HARMLESS), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_the_unicode_form_changes_nothing(text: str, form: Any) -> None:
    assert detect(unicodedata.normalize(form, text)) == detect(text)


@pytest.mark.parametrize(
    "text", ["𝐈 𝐡𝐚𝐯𝐞 𝐜𝐡𝐞𝐬𝐭 𝐩𝐚𝐢𝐧", "Ｃｈｅｓｔ ｐａｉｎ", "ch\u00adest pa\u200bin", "chest---pain"]
)
def test_disguised_letters_are_read(text: str) -> None:
    assert detect(text) is not None


def calls(text: str) -> int:
    """Count the functions that reading a text calls, those written in C too."""
    count = 0

    def count_one(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(count_one)
    try:
        detect(text)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "piece",
    [
        "a ",
        "i can ",
        "no chest ",
        "chest chest pain no ",
        "pain in ",
        "x",
        "stroke in ",
        "? ",
        "नहीं ",
        "ا",
        "no. ",
    ],
)
def test_twice_the_text_costs_twice_the_work(piece: str) -> None:
    once, twice = (calls(piece * times) for times in (1_000, 2_000))
    assert twice <= 2 * once + 50


def seconds(text: str) -> float:
    """Measure the work that the profiler does not see: that of the standard library."""
    times = []
    for _ in range(3):
        start = time.thread_time()
        detect(text)
        times.append(time.thread_time() - start)
    return min(times)


@pytest.mark.parametrize(
    "piece", ["\u0301\u0323", "\u0f72\u0f74\u0f71", "\ufdfa", "\ufdfa ", "㎯ "]
)
def test_no_text_costs_much_more_than_words(piece: str) -> None:
    words = seconds("I have a question on my visa. " * 333)
    assert seconds((piece * 10_000)[:10_000]) < 10 * words + 0.01


@given(st.text(alphabet="aeéاءाॅ'.,!?\n \u200b", max_size=200))
def test_no_text_has_more_words_than_characters(text: str) -> None:
    assert len(list(split(text))) <= len(unicodedata.normalize("NFKD", text))
