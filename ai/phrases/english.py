"""English, as it is written by those who learned it late, too."""

from typing import Final

from ai.phrases.language import Flag, Language

_HUMAN = (
    "human|humans|person|agent|agents|coordinator|cordinator|coordinater|representative|rep|operator"
    "|advisor|adviser|consultant|someone|somebody|anyone|anybody|manager|supervisor|employee"
)
_REAL = "real|actual|live|human|living|proper|different|another|other?"
_TALK = "talk|speak|chat|tlk to|with|2? a|an|the|some|your|any?"
_BOT = "bot|bots|robot|robots|chatbot|chatbots|machine|ai|computer"
ENGLISH: Final = Language(
    wishes=f"""
        to|please|pls|plz|me|want|wanna|gonna|rather|.|somehow {_TALK} {_REAL} {_HUMAN},
        can|could|may|might|shall|cant|do|need|wish|like i? to? {_TALK} {_REAL} {_HUMAN},
        talk|speak|chat to|with|2 a|an|the|some|your|any? real|actual|live|human
            {_HUMAN}|people|being|doctor|nurse,
        talk|speak|chat to|with your team|staff|coordinators,
        i|id|we want|need|like|wish|prefer|would|wanna to|like? to? {_TALK}
            doctor|nurse|surgeon|dr,
        can|could|may|let i|we|me talk|speak|chat to|with a|an|the|your doctor|nurse|surgeon|dr,
        can|could|would|will|may|might|is|please|. there? someone|somebody|anyone|anybody|sb from?
            your? please|pls|plz|here|there|team|staff|really|actually|maybe? to|can|who|that?
            can|could? help|assist|call|contact|phone|answer|reply|respond|talk|explain|halp,
        i|we need|want someone|somebody|a|an|anyone real|live|actual? person|human? to
            help|talk|speak|call|assist|explain|contact|answer,
        want|need|prefer|wants|give|get|gimme|show me? to? have? a|an|the|some|your?
            real|actual|live? human|humans|agent|coordinator|cordinator|representative|operator,
        want|need|prefer|give|get|gimme me? a|an? real|actual|live|human
            person|people|someone|being,
        want|need|prefer|give|get|gimme me? a|an person now|instead|please|pls|plz|.,
        . a|an|the? real|live|actual? human|person|agent|representative|coordinator|operator
            please|pls|plz|now|asap|being? .,
        human|person|agent|representative|coordinator|operator please|pls|plz|now,
        is there a|an|any real|live|actual|human? human|person|agent|people|coordinator
            i|to|who|that|here|there|available|can,
        . hello|hi|hey? is? anyone|anybody|someone|somebody there|here|available,
        connect|transfer|put|pass|hand|forward|switch|refer|escalate me|us|this|it? on|over?
            to|through|with a|an|the|your|some|my? {_REAL} {_HUMAN}|doctor|nurse|team|people,
        help|answer|reply|support from a|an|the|some|your real|live|actual|human? {_HUMAN},
        human support|help|assistance|agent|please, live agent|chat|support|person,
        customer service|support please|now|., contact|call|reach customer service|support,
        call|phone|ring me back|please|now|today|tomorrow|asap|urgently|immediately|.,
        give me a call, request|want a callback|call,
        stop|disable|remove this|the|your|with? this|the|stupid|fucking|damn? {_BOT},
        turn|switch off the|this {_BOT}, turn|switch the|this {_BOT} off,
        !dont|not|no|stop|tired|sick|hate|enough|instead want|need|more|like|to|of|with|talking?
            to|of|with? talk|speak|chat|talking|speaking|chatting to|with?
            a|an|the|this|your|these|stupid {_BOT},
        !no more {_BOT}, !no|without bot|bots|robots|chatbot please|pls|.,
        useless|stupid|dumb {_BOT}, this|the {_BOT} is useless|stupid|dumb|annoying
    """,
    flags={
        Flag.SELF_HARM: """
            !kill|killing|hang|hanging|shoot|drown|poison|stab|burn|kil
                myself|myslf|mysef|himself|herself,
            !kill|killing|hang|harm|harming|cutting my self, !cutting|harming myself,
            !want|going|gonna|thinking|urge|about|wanna|keep|will|might .. to|about|of?
                hurt|hurting|cut|harm|injure myself,
            cut|hurt myself on purpose, self harm|harming|harmed|mutilation, selfharm|selfharming,
            suicide|suicidal|suicides|suiside|sucide|suicid|suicde|suicidle|sucidal
                |suicidial|unalive,
            want|wants|wanna|wanted|wish|rather|ready|trying|tried|decided .. to? die|dead|dying,
            wish i was|were dead, wish i had|was never|not born, better off dead,
            better off without me, !end|ending|take|taking|finish|ended my|his|her|their own? life,
            !end it all, !ending it all,
            !no|any reason|reasons|point|purpose to|in|of|for live|living|life|go|going,
            !dont|doesnt|not want|wanna|wish to? live|exist,
            !dont|doesnt|not want|wanna|wish to? be alive|here, !dont|not want to wake up,
            !cant|cannot go on .|anymore|like|living|any, !isnt|not worth living,
            tired|sick|fed of|with|up? of|with living|life|existing|alive,
            jump|jumping|throw .. off|from|in of? a|the? bridge|building|roof|window|balcony|front,
            slit|slitting|cut|cutting my wrist|wrists|veins
        """,
        Flag.CHEST: """
            chest|chst|cheast ...
                pain|pains|painful|pane|ache|aches|aching|hurt|hurts|hurting|tight|tightness
                |crushing|heavy|heaviness|squeezing|discomfort|burning|stabbing,
            pain|pains|pressure|tightness|ache|aching|burning|discomfort|heaviness
                |squeezing|weight|stabbing in|on|across|around|at|of|inside ... .. chest|heart,
            hurts|hurting|aches|hurt|tight .. in? my|the|his|her? chest|heart,
            heart hurts|pain|pains|hurting, heart is hurting|stopping, chest .. pressure,
            chestpain|chestpains, angina
        """,
        Flag.HEART: """
            heart|hart attack|attak|atack|failure, cardiac arrest, heart stopped, heartattack
        """,
        Flag.BREATHING: """
            !cant|cannot|cnt|couldnt|dont|doesnt .. ..
                breath|breathe|breathing|breth|breeth|brethe,
            !can|could|able not .. breath|breathe|breth, !not able to breath|breathe,
            unable to .. breath|breathe, !can|could barely|hardly breath|breathe,
            hard|difficult|difficulty|difficulties|dificulty|trouble|problem|problems
                |struggle|struggling|struggles|hardly|barely|tough|hurts|painful ...
                breath|breathe|breathing|brething|breth,
            breathing|breath ..
                difficulty|difficult|difficulties|hard|trouble|problem|problems|issue|issues,
            short|shortness|shortnes|shortage|out of breath, short breath,
            !not|stopped|isnt|stops|aint breathing|breathing, gasping|gasp, choking, suffocat*,
            breathless|breathlessness, !cant|cannot catch|get|take .. .. breath|air,
            turning|turned|going|gone blue, lips ... blue
        """,
        Flag.STROKE: """
            stroke|strok,
            face|mouth|smile|eyelid ...
                droop*|sagging|crooked|lopsided|twisted|paralysed|paralyzed,
            droop* .. face|mouth|smile,
            half|one|left|right|side .. .. of? my|his|her|the? face|body|side ..
                numb|numbness|weak|paralysed|paralyzed,
            numb*|paraly* ... one|left|right|half side,
            face|arm|leg|body|side .. suddenly|went|gone|going ..
                numb|weak|paralysed|paralyzed|limp,
            sudden|suddenly .. numb*|weakness|paraly*|confusion|confused|blind|blindness|blurred,
            !suddenly ... cant|cannot|couldnt|not|lost|unable .. to?
                speak|talk|see|move|walk|speech|vision,
            !cant|cannot|couldnt|unable .. speak|talk|see|move ... sudden|suddenly|anymore,
            slurred|slurring|slurs|slurry .. speech|words|speaking, speech .. .. slurred,
            numbness|paralysis .. .. .. face|side
        """,
        Flag.UNCONSCIOUS: """
            unconscious|unconcious|unconsious|unconcsious|unconciousness|unconsciousness,
            unresponsive, passed|passing|pass|passes|blacked|blacking|black|knocked out,
            faint|fainted|fainting|faints,
            lost|losing|lose|loss|loses of? consciousness|conciousness|conscious|consiousness,
            !isnt|not|wont|doesnt|cant .. wake|waking|awaken up,
            !he|she|mother|father|mom|mum|dad|husband|wife|son|daughter|baby|child|patient |friend
                is? isnt|not|wont|doesnt .. respond|responding|wake|waking|moving|conscious,
            collapsed|collapsing|collapse, in|into a|diabetic coma
        """,
        Flag.BLEEDING: """
            bleeding|bleed|bleeds|bleading ..
                heavily|badly|lot|heavy|severely|profusely|everywhere|uncontrollably|nonstop
                |continuously|lots|fast,
            blood .. everywhere|gushing|pouring|spurting,
            severe|severely|heavy|heavily|massive|uncontrolled|serious|excessive|profuse
                |bad|badly|internal|constant|major ..
                bleeding|bleed|bleading|hemorrhage|haemorrhage,
            !bleeding|blood|bleed .. .. wont|not|doesnt|cant|never|isnt stop*,
            bleeding to death|stop, bleeding out,
            !cant|cannot|wont|doesnt|not .. stop|stopping .. .. bleeding|blood,
            lot|lots|much of? blood, losing|lost|loosing ... blood,
            vomit*|throwing|threw|throw|puking|puke|spitting|coughing|cough|coughed up? .. blood,
            blood in .. vomit, blood in my vomit, hemorrhag*, haemorrhag*,
            i|im|am|hes|shes bleeding,
            wound|incision|scar|stitches is|are|keeps|started .. bleeding
        """,
        Flag.ALLERGY: """
            anaphyla*, anaphila*, anafila*, epipen,
            throat|tongue|airway|airways|lips ...
                closing|closes|closed|close|swelling|swollen|swells|swell|tightening|tight
                |swelled|blocked,
            swollen|swelling|swelled|closing .. .. throat|tongue|lips|airway,
            severe|bad|serious|strong|terrible|violent|severely allergic|allergy|alergic|alergy,
            allergic|alergic|allergy reaction|reactions|shock|attack
        """,
        Flag.OVERDOSE: """
            overdose|overdosed|overdosing|overdoes|overdosis|overdosage, od|odd on, over dosed|dose,
            took|taken|swallowed|ate|drank|take|taking|swallow .. .. too|so many|much ...
                pills|tablets|medication|medications|medicine|medicines|meds|painkillers
                |paracetamol|insulin|tylenol|dose,
            too many|much ...
                pills|tablets|medication|medicine|medicines|meds|painkillers|paracetamol |insulin,
            took|swallowed|taken|drank all|whole|entire|bottle|box|pack ...
                pills|tablets|medication|medicine|meds,
            poison|poisoned|poisoning|poisened|poisening|poisons,
            swallowed|drank|drunk|ingested|ate ..
                bleach|detergent|battery|batteries|acid|pesticide|gasoline|petrol|cleaner
                |chemicals|magnet|magnets
        """,
        Flag.SEIZURE: """
            seizure|seizures|siezure|siezures|seisure|seizing, convuls*,
            having|had|has a|an? fit|fits
        """,
        Flag.EMERGENCY: """
            medical|life emergency|emergancy|emergincy,
            is|its|have|having|got|this an? emergency|emergancy|emergincy,
            . please? emergency|emergancy .|help|please|now,
            call|send|need|get|want|calling|called|sending .. ..
                ambulance|ambulence|paramedic|paramedics,
            call|calling|dial|called 911|112|999|108|000|102|15|144,
            im|am|is|are|hes|shes|be dying,
            i|he|she|we will|might|may|could .. die .|now|here|soon|today|tonight,
            think|feel|feels|feeling .. .. like? .. dying,
            going|gonna|about|afraid .. to|i? die|will? ., going|gonna|about to? die,
            life threatening, septic shock
        """,
    },
    harmless="""
        _ : no|none|never|nope|negative|nil|denied|denies ., _ none|denied|negative|denies .,
        history|risk|risks|chance|chances|prevention|fear of|for a|an|my|having? heart?
            stroke|attack|failure|seizure|seizures|overdose,
        prevent|avoid|prevents a|an|another? heart? stroke|attack|seizures|seizure,
        died|die|dies|passed|lost|death away|him|her? of|from|after|to|by a|an|the|massive? heart?
            stroke|attack|failure|cancer|overdose|arrest,
        after|since|following my|his|her|a|the? stroke,
        after|since|following my|his|her|a|the heart attack,
        recover*|rehab|rehabilitation from|after|for a|my|his|her|the? heart? stroke|attack,
        stroke rehab*|recovery|survivor|patient|patients|treatment|specialist|unit|prevention|of
            |care,
        stroke|attack|seizure|seizures|failure|overdose|bleeding|hemorrhage|fainted |collapsed ...
            years|months|year ago|back|earlier|before,
        stroke|attack|seizure|overdose|hemorrhage|fainted|collapsed|arrest ... in|since|from
            196*|197*|198*|199*|200*|201*|202*,
        stroke|attack|seizure ... as|when a|i|he|she|was? child|kid|baby|young|teenager,
        seizure|seizures medication|medicine|drug|drugs|free|disorder|clinic|meds,
        breath*|breeth|breth|air through|thru|threw|from|by my|the|one|his|her|left|right?
            one|side|blocked? nose|nostril|nostrils,
        unconscious|breathing|bleeding during|under ..
            surgery|operation|procedure|anesthesia|anaesthesia|sedation,
        want to live in|near|far, dying|die to know|see|meet|hear|try|go|get|come|start|eat|find,
        dying of|from laughter,
        for|of|the an|any? emergency .|visa|contact|number|room|fund|department,
        emergency visa|contact|number|room|fund|department,
        throat|tongue|lips|neck lift|filler|fillers,
        blood test|tests|pressure|sugar|work|sample|samples|group|type|bank|thinner*|results |count
    """,
    negators="""
        no not never without dont doesnt didnt havent hasnt hadnt isnt arent wasnt werent nor
        neither none denies denied deny dnt ain aint
    """,
    fillers="""
        any a an the have has had having feel feels feeling felt experience experiencing
        experienced of sign signs symptom symptoms more kind sort type my his her got get getting
        want wants wanting to at all current currently recent recently new ongoing further other
        significant is am im be been being there such longer thoughts thought thinking about plan
        plans planning intention ever really suffer suffering suffered from with complain
        complaining need like wish wanna
    """,
    common="""
        i the is my and to of a it im have has you for me this that with please help can not was
        been am we he she feel what where how do after now are think will
    """,
    emergency=(
        "This may be an emergency. Do not wait for an answer here. Call your local emergency"
        " number now (for example 112 in Europe and India, 911 in the USA and Canada, 999 in"
        " the UK), or go to the nearest emergency department. If you can, ask somebody near"
        " you to stay with you."
    ),
    crisis=(
        "You are not alone, and you can get help right now. Do not wait for an answer here."
        " If you are in danger, call your local emergency number (for example 112 in Europe"
        " and India, 911 in the USA and Canada, 999 in the UK). Somebody at a crisis line"
        " will listen to you at any hour: findahelpline.com lists free ones in many"
        " countries. If you can, go to somebody you trust and stay with them."
    ),
)
