"""Hindi in Latin letters, with the English words that come with it."""

from typing import Final

from ai.phrases.language import Flag, Language

_HUMAN = (
    "insaan|insan|insaaan|vyakti|aadmi|admi|agent|coordinator|human|person|banda|bande|staff"
    "|manager|executive|representative"
)
_BOT = "bot|robot|machine|chatbot|ai"
_NOT = "nahi|nahin|nhi|nai|nahee|nahii|naa|na|ni"
_IN = "mein|me|mai|mei|men|m"
_BREATH = "saans|sans|saas|sas|saansein|shwas|swas|breath"
HINGLISH: Final = Language(
    wishes=f"""
        {_HUMAN}|kisi|real se|ke|k|sath|saath sath|saath|meri|mujhe|hi?
            baat|bat|batcheet|chat|connect
            karni|karna|karani|karwa*|karva*|kara|karao|karo|kar|karne|ho|chahta|chahti|krni
            |krna|krwa*|krao|karu|karein,
        doctor|nurse|team se meri|mujhe? baat|bat
            karni|karna|karwa*|kara|karao|krni|krna|krwa*|karva*,
        koi ... help|madad|sahayata|madat
            kar|karo|karega|kare|karein|krdo|kr|sakta|milegi|mil|krega,
        koi .. .. baat kar|karega|kare, {_HUMAN} chahiye|chaiye|chahie|chaheye,
        asli|real|sachcha insaan|insan|vyakti|aadmi, koi hai .|yaha|yahan|kya,
        mujhe|muje|hume call|phone|fon kar|karo|karein|kijiye|kariye|karwao|kro,
        {_BOT} ko? band|roko|hatao, !{_BOT} se .. baat|bat {_NOT} karni|karna|krni,
        !{_BOT} {_NOT} chahiye|chaiye
    """,
    flags={
        Flag.SELF_HARM: f"""
            suicide|suside|sucide|suiside karna|karne|kar|karlu|krna|krne|krlu|karunga|ka|ke,
            aatmahatya|atmahatya|aatmhatya|khudkushi|khudkhushi,
            marna|mrna chah*|chaht*|hai|he|h|chata|chati|cahta, mar|mr jana chah*|hai|chata|chati,
            marne .. man|mann|dil|ichha|iccha, mar jau|jaun|jaau|jaaun,
            !jeena|jina|jeene|jine .. {_NOT} .. chah*|man|hai|chata|chati|h|mann,
            !jeene|jine .. man|mann|ichha|wajah|matlab .. {_NOT},
            !khud|apne|khudko|apneaap ko|aap? ko? .. maar|mar|khatam|nuksan|nuksaan|kaat*|hurt,
            !apni|meri jaan|jan le|dena|lena|de|lelu|dedu,
            !zindagi|jindagi|life|jeevan .. khatam|khatm|end|finish,
            zindagi|jindagi|jeene|life se .. thak*|tang|pareshan|pak, phansi|faansi,
            nas|kalai kaat*|kat*
        """,
        Flag.CHEST: f"""
            seene|sine|seena|sene|chhati|chati|chaati|chhaati .. .. ..
                dard|dardh|pain|jakdan|jalan|dabav|bhari|bhaari|bhaaripan|takleef,
            chest|dil|heart {_IN}? bahut|bohot|tez|bhut? dard|pain|jalan|takleef,
            dard|pain .. .. .. seene|sine|chhati|chati|chaati|seena, chest pain|dard|pen
        """,
        Flag.HEART: """
            dil ka|k? daura|dora|attack|atack, heart attack|atack|fail, cardiac arrest
        """,
        Flag.BREATHING: f"""
            !{_BREATH} .. .. .. {_NOT}
                aa|a|le|li|rahi|raha|pa|paa|aati|ati|aarahi|arahi|ari|aari|mil|rhi|lia|liya,
            {_BREATH}|saansen ...
                takleef|taklif|dikkat|diqqat|pareshani|mushkil|muskil|problem|ful|fool|phool
                |ghut|atak|ruki|phul,
            mushkil|takleef|taklif|dikkat .. .. {_BREATH}, dum|dam|dm ghut*|ghutt*|phool*|ful|ful*
        """,
        Flag.STROKE: f"""
            lakwa|laqwa|lakva|pakshaghat|falij|paralysis|stroke .. aa|a|aaya|aya|ho|hua|maar|mar,
            lakwa|laqwa|lakva|pakshaghat, brain stroke|hemorrhage,
            chehra|chehre|muh|muuh|munh|mooh|face ... tedha|teda|tedhi|latak*|sunn|sun|jhuk*|numb,
            achanak|achaanak .. .. .. bol|dikhna|dikhai|bolna|dekh .. .. {_NOT}|band,
            bol .. {_NOT} .. .. achanak, achanak .. .. .. sunn|kamzori,
            zubaan|zuban|jubaan|awaz .. ladkhada*,
            ek|aadha|half taraf|hissa|sharir|body .. .. sunn|numb
        """,
        Flag.UNCONSCIOUS: f"""
            behosh|behoshi|behos|unconscious, !hosh .. {_NOT}, hosh .. kho,
            !{_NOT} .. jaag|uth|jag raha|rahi|rha|rhi, chakkar .. .. gir, coma {_IN}
        """,
        Flag.BLEEDING: f"""
            bahut|bohot|bahot|bhut|zyada|jyada|tez|kaafi|lagatar|heavy ..
                khoon|khun|bleeding|blood,
            khoon|khun|bleeding|blood ... beh|bah|bahut|bohot|zyada|jyada|nikal|behna|behta,
            !khoon|khun|bleeding|blood .. .. {_NOT} .. ruk*|band,
            !khoon|khun|bleeding .. ruk*|band .. {_NOT},
            khoon|khun|blood .. ulti|khansi|ultee|vomit, ulti|khansi ... khoon|khun|blood
        """,
        Flag.ALLERGY: """
            gala|gale|jeebh|jibh|honth|throat ... suj*|sooj*|band|ghut*|phool*,
            allergy|alergy|allergic .. .. reaction|shock,
            tez|bahut|severe|gambhir .. allergy|alergy
        """,
        Flag.OVERDOSE: """
            overdose, zeher|zehar|jehar|jahar|zahar,
            zyada|jyada|bahut|bohot|saari|sari|dher|puri .. ..
                goliyan|goli|goliya|dawa|dawai|dawaiyan|tablets|tablet|medicine|pills ..
                kha|khaa|le|li|nigal|khali,
            tezab|phenyl|bleach|battery|kitnashak .. pi|pee|nigal|kha
        """,
        Flag.SEIZURE: """
            daura|daure|dora|dore|jhatke|fits|fit|seizure .. pad*|par|aa|aaya|aya|aaye|aate,
            mirgi .. daura|daure|attack, ainthan
        """,
        Flag.EMERGENCY: """
            emergency|imergency hai|he|h|ho, ambulance bula*|bhej*|chahiye|chaiye|bulwa*,
            mar|mr raha|rahi|rha|rhi|jaunga|jaungi|jayega|jayegi|jaaunga
        """,
    },
    harmless=f"""
        dard|pain|takleef|taklif|dikkat|pareshani|problem|mushkil|jakdan|daura|daure
            |behoshi|allergy|reaction|attack|emergency {_NOT}
            hai|he|hain|h|tha|thi|the|hua|hui|ho|hota|hoti|pada|.,
        _ : {_NOT} ., daura|attack|lakwa|stroke|dora ... saal|sal|mahine|baras pehle|pahle,
        saal|sal pehle|pahle .. .. .. daura|attack|lakwa|stroke,
        196*|197*|198*|199*|200*|201*|202* .. .. .. .. daura|attack|lakwa|stroke,
        daure|attack|lakwa|lakwe|stroke|daura ka|se|ke|ki ..
            khatra|risk|bachav|maut|death|baad|mar|dehant,
        behoshi|behosh ki|ka|karne .. dawa|dawai|injection|doctor|sui,
        naak|nak|nose se .. .. {_BREATH} .. .. .. aa|a|le|rahi|rhi,
        khoon|khun|blood ki|ka|test jaanch|janch|test|group|report
    """,
    negators="nahi nahin nhi bina mat",
    fillers="kisi ka ke ki ko hai bhi tarah mein me mujhe",
    common="""
        hai he mein mujhe muje mera meri mere ko ka ki ke se aur kya kaise raha rahi rha rhi ho hu
        hun hoon bahut bohot karna karni kar nahi nahi bhai mai tha thi ye yeh toh aap h kr
    """,
    emergency=(
        "Yeh emergency ho sakti hai. Yahan jawab ka intezaar na karein. Abhi apne desh ke"
        " emergency number par call karein (jaise India aur Europe mein 112, USA mein 911),"
        " ya sabse nazdeeki hospital ke emergency department mein jaayein. Ho sake to kisi ko"
        " apne paas rehne ke liye kahein."
    ),
    crisis=(
        "Aap akele nahin hain, aur madad abhi mil sakti hai. Yahan jawab ka intezaar na"
        " karein. Agar aap khatre mein hain, to apne desh ke emergency number par call karein"
        " (jaise India aur Europe mein 112, USA mein 911). Helpline par koi aapki baat"
        " sunega: findahelpline.com par kai deshon ki muft helpline milti hain. Ho sake to"
        " kisi bharosemand vyakti ke paas jaayein aur unke saath rahein."
    ),
)
