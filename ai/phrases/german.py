"""German."""

from typing import Final

from ai.phrases.language import Flag, Language

_HUMAN = (
    "mensch|menschen|person|mitarbeiter|mitarbeiterin|koordinator|koordinatorin|berater|beraterin|agent|agenten"
    "|jemand|jemandem|jemanden|ansprechpartner|betreuer|betreuerin|vertreter|operator|kundenberater"
)
_BOT = "bot|roboter|chatbot|maschine|bots|ki"
GERMAN: Final = Language(
    wishes=f"""
        mit einem|einer|ein|dem|der|den|ihrem? echten|echtem|richtigen|echter|lebenden|anderen?
            {_HUMAN} sprechen|reden|schreiben|telefonieren|chatten|verbinden|verbunden|sprechn,
        sprechen|reden|rede|spreche mit einem|einer|ein? echten|richtigen|echter? {_HUMAN},
        moechte|mochte|will|kann|wuerde|wurde|darf|muss .. .. mit einem|einer|dem|der|ihrem
            arzt|aerztin|arztin|pflegerin sprechen|reden|telefonieren,
        moechte|mochte|will|brauche|geben|gib sie|mir? einen|eine|ein? echten|richtigen|echte?
            menschen|mitarbeiter|berater|koordinator|ansprechpartner|agenten,
        . echter|echten|echte|richtiger mensch|menschen|person .|bitte,
        . mensch|mitarbeiter|berater|koordinator bitte|.,
        kann|koennte|konnte|koennten mir|uns|bitte? jemand mir|bitte|uns? .. ..
            helfen|anrufen|antworten|erklaeren|erklaren,
        jemand helfen|hilft, ist da|hier|dort? jemand da|hier|., hallo jemand da,
        verbinden|verbinde sie? mich|uns .. mit, rufen|ruf sie? mich an|bitte|zurueck|zuruck|.,
        rueckruf|ruckruf,
        !nicht|keinen|kein|keine mehr|laenger? mit|lust|weiter? einem|einer|dem|diesem|auf? {_BOT},
        stoppen|stopp|stop|beenden|deaktivieren|abschalten sie? den|die|diesen? {_BOT},
        {_BOT} abschalten|ausschalten|aus,
        menschliche|menschlichen|persoenliche|menschlicher
            hilfe|ansprechpartner|mitarbeiter|berater
    """,
    flags={
        Flag.SELF_HARM: """
            suizid|selbstmord|suizidal|suizidgedanken|selbstmordgedanken|suizidgefaehrdet
                |selbstmoerdern,
            !mich .. umbringen|toeten|toten|erhaengen|erhangen|erschiessen|umbring,
            !bring|bringe mich um,
            will|wollte|moechte|mochte|wuensche|wunsche|wuenschte .. .. .. sterben|tot|sterbn,
            !will|moechte|mochte|kann nicht .. .. leben|weiterleben|aufwachen,
            !nicht mehr .. leben, !mir das|mein leben nehmen, !leben .. beenden,
            !meinem leben ein ende, lebensmuede|lebensmude,
            selbst|mich|mir verletzen|verletze|ritzen|ritze|antun, selbstverletz*,
            !mir etwas|was antun, besser tot, waere|ware|waer tot|nie, !nicht lebenswert,
            !kein|keinen sinn|grund .. .. leben, pulsadern
        """,
        Flag.CHEST: """
            brustschmerz|brustschmerzen|herzschmerzen|brustenge|herzstechen|brustdruck, angina,
            schmerz|schmerzen|druck|stechen|enge|brennen|engegefuehl|engegefuhl ...
                brust|brustkorb|herz|herzen|brustbein,
            brust|brustkorb|herz ... schmerzt|schmerzen|tut|sticht|druckt|drueckt|eng|brennt
        """,
        Flag.HEART: """
            herzinfarkt|herzanfall|herzattacke|herzstillstand|infarkt|kreislaufstillstand
        """,
        Flag.BREATHING: """
            !bekomme|bekommt|krieg|kriege|kriegt|bekomm|habe .. kaum|keine|schlecht|schwer|wenig
                luft,
            !kann|koennen .. .. nicht|kaum|schlecht|schwer .. atmen, !atmet|atme .. nicht|kaum,
            keine luft,
            atemnot|luftnot|kurzatmig|kurzatmigkeit|atembeschwerden|atemprobleme|erstick*
                |atemstillstand,
            schwierigkeiten|probleme|muehe|schwer|schwierig|schmerzen ... atmen|atmung|luft,
            lippen .. .. blau
        """,
        Flag.STROKE: """
            schlaganfall|hirnschlag|hirnblutung|apoplex|schlagabfall,
            gesicht|mund|mundwinkel|gesichtshaelfte ...
                haengt|hangt|taub|gelaehmt|gelahmt|schief|herunter,
            seite|haelfte|halfte ... taub|gelaehmt|gelahmt|schwach,
            ploetzlich|plotzlich .. .. .. nicht|taub|gelaehmt|gelahmt|verwirrt|blind ..
                sprechen|reden|sehen|bewegen|.,
            !nicht|kaum mehr? sprechen|sehen|reden .. ploetzlich|plotzlich,
            verwaschene|undeutliche|lallende sprache, lallt
        """,
        Flag.UNCONSCIOUS: """
            bewusstlos|bewusstlosigkeit|ohnmaechtig|ohnmachtig|ohnmacht|bewustlos,
            bewusstsein .. verloren|verliert|verliere, umgekippt|zusammengebrochen|kollabiert,
            !nicht .. ansprechbar|aufwachen|aufzuwecken, !wacht|reagiert .. nicht, im|ins koma
        """,
        Flag.BLEEDING: """
            blutung|blutungen|blute|blutet|bluten|blut .. .. stark|heftig|viel|schlimm|schwer,
            starke|starken|schwere|heftige|massive|viel|unstillbare .. blutung|blutungen|blut,
            stark blutend, !blutung|bluten|blut .. .. nicht .. auf|stoppen|aufhoeren|stillen,
            !blutet .. nicht|weiter, verliere|verliert|verloren .. .. blut,
            blut .. .. erbrochen|erbricht|gebrochen|gehustet, erbreche|spucke|huste blut,
            ich|er|sie blute|blutet, verblute|verblutet|verbluten|nachblutung
        """,
        Flag.ALLERGY: """
            anaphyla*, allergische|allergischer|allergischen schock|reaktion|reaktionen,
            hals|kehle|rachen|zunge|lippen ...
                zu|schwillt|geschwollen|zugeschwollen|schwellen|anschwellen|zuschwellen,
            schwere|starke allergie
        """,
        Flag.OVERDOSE: """
            ueberdosis|uberdosis|ueberdosiert|uberdosiert, vergift*, gift,
            zu viele|viel|alle|ganze|packung .. .. tabletten|pillen|medikamente|schlaftabletten,
            alle tabletten|pillen, tabletten|pillen geschluckt,
            bleiche|reiniger|batterie|saeure|benzin|spuelmittel .. getrunken|verschluckt|geschluckt
        """,
        Flag.SEIZURE: """
            krampfanfall|krampfanfaelle|krampfanfalle|krampft|krampfanfalls,
            epileptischer|epileptischen anfall, anfall .|und|bekommen|gehabt
        """,
        Flag.EMERGENCY: """
            medizinischer notfall, ist|ein|einen|habe|notfall notfall, . notfall .|hilfe|bitte,
            rettungswagen|notarzt|krankenwagen|rettungsdienst|ambulanz, ich|er|sie sterbe|stirbt,
            muss|werde .. sterben
        """,
    },
    harmless="""
        _ : nein|keine|kein|nie|nicht ., _ keine|nein .,
        risiko|gefahr|vorbeugen|angst|vorgeschichte .. .. ..
            schlaganfall|herzinfarkt|infarkt|schlaganfalls|krampfanfall,
        nach|seit|an|am einem|meinem|dem|seinem? schlaganfall|herzinfarkt|infarkt|herzstillstand,
        schlaganfall|herzinfarkt|krampfanfall|infarkt|ohnmaechtig|hirnblutung .. .. .. vor ..
            jahren|monaten|jahr,
        vor .. jahren|monaten|jahr .. .. .. schlaganfall|herzinfarkt|krampfanfall|infarkt,
        196*|197*|198*|199*|200*|201*|202* .. .. schlaganfall|herzinfarkt|krampfanfall|infarkt,
        schlaganfall|herzinfarkt|krampfanfall|infarkt .. .. 196*|197*|198*|199*|200*|201*|202*,
        durch .. nase atmen, nase .. .. .. atmen|luft, keine luft durch .. nase,
        bewusstlos waehrend|wahrend .. operation
    """,
    negators="kein keine keinen keiner keinem keinerlei nicht ohne nie niemals nein weder noch",
    fillers="""
        eine einen ein der die das den mehr akute akuten starken habe hat haben hatte verspuere
        spuere mit einem einer anzeichen von fuer zeichen symptome gedanken an irgendwelche
    """,
    common="""
        ich der die das und ist in zu den mit nicht ein eine einen mir mich mein meine sie habe hat
        war auf fuer im bitte danke kann moechte brauche seit sehr es bin hallo von denke
    """,
    emergency=(
        "Das kann ein Notfall sein. Warten Sie hier nicht auf eine Antwort. Rufen Sie jetzt"
        " die Notrufnummer Ihres Landes an (zum Beispiel 112 in Europa, 911 in den USA und"
        " Kanada) oder gehen Sie in die nächste Notaufnahme. Bitten Sie, wenn möglich,"
        " jemanden, bei Ihnen zu bleiben."
    ),
    crisis=(
        "Sie sind nicht allein, und es gibt sofort Hilfe. Warten Sie hier nicht auf eine"
        " Antwort. Wenn Sie in Gefahr sind, rufen Sie die Notrufnummer Ihres Landes an (zum"
        " Beispiel 112 in Europa, 911 in den USA und Kanada). Ein Krisentelefon hört Ihnen"
        " zu: findahelpline.com nennt kostenlose in vielen Ländern. Gehen Sie, wenn möglich,"
        " zu einem Menschen, dem Sie vertrauen, und bleiben Sie dort."
    ),
)
