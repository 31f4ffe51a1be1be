"""Spanish."""

from typing import Final

from ai.phrases.language import Flag, Language

_HUMAN = (
    "persona|humano|humana|agente|coordinador|coordinadora|asesor|asesora|operador|operadora"
    "|representante|alguien|ejecutivo|ejecutiva|encargado|encargada|responsable|ser|supervisor"
)
_BOT = "bot|robot|chatbot|maquina|bots|robots|maquinas|ia"
SPANISH: Final = Language(
    wishes=f"""
        hablar|ablar|hablo|platicar|conversar|chatear|comunicarme|hablarle con|a|ha
            un|una|el|la|algun|alguna? otra|otro|verdadera|verdadero? {_HUMAN},
        quiero|quisiera|necesito|puedo|podria|gustaria|deseo|prefiero|kiero
            hablar|comunicarme|conversar con un|una|el|la|mi|algun?
            doctor|doctora|medico|medica|enfermera|personal,
        quiero|quisiera|necesito|prefiero|dame|denme|kiero a? un|una|el|la?
            agente|humano|humana|coordinador|coordinadora|asesor|asesora|operador|representante,
        quiero|quisiera|necesito|prefiero|dame|hay a? una|alguna|un? persona|ser|alguien
            real|humana|humano|verdadera|viva|ahi|disponible,
        . un|una? persona|humano|agente|asesor|operador|coordinador|coordinadora real|humana?
            por|ahora|.,
        . persona real|humana .|por,
        alguien que|me|pueda|puede|podria|aqui|ahi|porfavor? me? pueda|puede|podria? me?
            ayudar|ayudarme|ayude|ayuda|atender|atenderme|atienda|llamar|llamarme|llame
            |explicar|explicarme|contestar|responder|conteste|responda,
        puede|podria|pueden|podrian alguien
            ayudar*|atender*|llamar*|explicar*|contactar*|contestar*|responder*,
        hay alguien ahi|que|aqui|disponible|con|., . hola? alguien ahi|aqui .,
        pasame|paseme|pasenme|comunicame|comuniqueme|comuniquenme|transfiereme|transfierame
            |transfieranme|conectame|conecteme|ponme|ponganme|derivame|pasarme|comunicarme
            |transferirme|conectarme con|a un|una|el|la|algun? otra? {_HUMAN}|doctor|medico,
        atencion|ayuda|asistencia|soporte humana|humano, servicio|atencion al cliente .|por,
        llamame|llamenme|llameme, me pueden|puede|podrian|podria llamar,
        pueden|puede|podrian|podria llamarme,
        !no quiero|deseo|mas .. con|hablando? con? un|una|el|este|mas? {_BOT},
        deten|detengan|quita|quiten|apaga|apaguen|desactiva|desactiven el|este|al {_BOT},
        harto|harta|cansado|cansada de hablar? con|del|de? un|una|este|el? {_BOT}
    """,
    flags={
        Flag.SELF_HARM: """
            suicidio|suicidarme|suicidar|suicidarse|suicida|suicidas|suicido|suisidio|suisidarme,
            !matarme|matarse|ahorcarme|ahorcarse|cortarme .|con|la|las|el|porque|hoy|y|ya|por,
            !me voy|quiero a? matar, !quitarme|quitarse|quitarle la vida,
            !acabar|terminar con mi|su vida, !acabar|terminar con todo,
            quiero|quisiera|deseo|gustaria|ganas|prefiero|prefiriria|kiero|quiere ..
                morir|morirme|morirse|desaparecer,
            quiero|quisiera|prefiero estar muerto|muerta, ojala .. muriera|muera,
            ojala estuviera muerto|muerta, mejor muerto|muerta, mejor estar muerto|muerta,
            !no|ni|sin quiero|quiere|deseo|ganas|razon|razones|motivos|sentido ..
                vivir|viviendo|despertar,
            !no vale la pena vivir, !vida no tiene|vale sentido|la|nada,
            cansado|cansada|harto|harta .. vivir|vida, hacerme|hacerse|haciendome dano,
            autolesion|autolesiones|autolesionarme, autolesionar*,
            cortarme|corte|cortando las|mis venas|munecas
        """,
        Flag.CHEST: """
            dolor|dolores|opresion|presion|punzada|punzadas|ardor|molestia|apretado|peso
                |pinchazo|pinchazos|tension ... pecho|torax|corazon|toracico|toracica,
            dolor|dolores|opresion toracico|toracicos|toracica,
            duele|duelen|dolia|aprieta|oprime|arde|punza|dole .. .. pecho|corazon,
            pecho ... duele|aprieta|oprime|apretado|oprimido|dolor|arde|pesado, angina
        """,
        Flag.HEART: """
            infarto|infartos|infartando|imfarto|infartado,
            ataque|ataques .. corazon|cardiaco|cardiacos|al,
            paro|parada cardiaco|cardiaca|cardiorrespiratorio
        """,
        Flag.BREATHING: """
            !no puedo|puede|logro|consigo|alcanzo|podia|pueden .. .. respirar|respiro|resirar,
            !no respira|respiro|respiraba|respirando,
            dificultad|dificultades|dificil|cuesta|problema|problemas|dificultosa|trabajo
                |apenas|costando ... respirar|respiracion|respiro|respiratoria|respiratorio,
            falta|faltando|falto|quedo|quedando|sin .. .. aire|aliento|respiracion, aire .. falta,
            ahogo|ahogando|ahoga|asfixia|asfixio|asfixiando|ahogandome|asfixiandome,
            labios|poniendo|pone ... azul|azules|morado|morada|morados
        """,
        Flag.STROKE: """
            derrame|infarto|accidente|ataque|hemorragia cerebral|cerebrovascular, ictus, embolia,
            acv,
            cara|boca|rostro ...
                caida|caido|torcida|torcido|cae|cayo|paralizada|paralizado|chueca|dormida
                |adormecida,
            mitad|lado .. .. .. adormecido|adormecida|dormido|dormida|paralizado|paralizada|debil,
            !no puedo|puede hablar|hablar|mover|ver ... repente|repentinamente|subitamente|pronto,
            repente|repentinamente|subitamente|pronto .. !no puedo|puede .. hablar|mover|ver,
            repente|pronto|repentinamente .. no puedo|puede|podia|pude .. hablar|ver|mover|caminar,
            habla|hablando|hablar|palabras|hablo .. arrastrada|arrastrando|arrastra|raro|trabada
        """,
        Flag.UNCONSCIOUS: """
            inconsciente|inconciente|inconscientes,
            desmayo|desmayado|desmayada|desmaye|desmayando|desmayar|desmayarme,
            perdio|perdi|perder|perdida|perdiendo|pierde|pierdo .. ..
                conciencia|consciencia|conocimiento|sentido,
            !no responde|reacciona|despierta|reaccionaba|despertar, coma diabetico,
            desvanecio|desvaneci
        """,
        Flag.BLEEDING: """
            sangrado|sangrando|sangre|hemorragia|sangra|sangro ...
                mucho|mucha|abundante|fuerte|grave|para|severo|severa|incontrolable|intensa
                |intenso|masiva|masivo|abundantemente|desangro,
            mucho|mucha|abundante|bastante|severo|fuerte|demasiada ..
                sangrado|sangre|sangrando|hemorragia|sangro,
            hemorragia|hemorragias, desangr*, estoy|esta sangrando, perdiendo|perdido .. .. sangre,
            !no para|deja|detiene .. .. sangrar|sangre|sangrado,
            !sangrado|sangre .. no para|se|deja,
            vomit*|tosiendo|tos|toso|escupiendo|escupo .. .. sangre
        """,
        Flag.ALLERGY: """
            anafila*, shock|choque anafilactico|alergico,
            reaccion|reacciones .. alergica|alergicas|anafilactica,
            garganta|lengua|labios ...
                cierra|cerrando|hincha|hinchada|hinchado|hinchando|inflama|inflamada|inflamando
                |hinchados|cerrada|cerro,
            cierra|cerrando|hincha|hinchada|hinchando|inflamando|inflamada|hinchado .. ..
                garganta|lengua|labios,
            alergia grave|severa|fuerte
        """,
        Flag.OVERDOSE: """
            sobredosis, sobre dosis, envenen*, intoxica*, veneno,
            tome|tomado|tomo|trague|ingerido|tomaste|tomando ...
                demasiadas|demasiada|demasiado|muchas|todas|todo|exceso|frasco .. ..
                pastillas|pastilla|medicamento|medicamentos|medicina|medicinas|pildoras
                |medicacion,
            demasiadas|muchas|todas .. pastillas|pildoras|medicinas,
            bebi|bebio|tomo|trago|tome|trague|ingirio ..
                cloro|lejia|acido|pesticida|detergente|pila|gasolina|raticida
        """,
        Flag.SEIZURE: """
            convulsion|convulsiones, convulsion*,
            ataque|ataques|crisis .. epilepsia|epileptico|epileptica
        """,
        Flag.EMERGENCY: """
            emergencia medica, es|una|tengo|tenemos|esto una? emergencia|urgencia,
            . emergencia|urgencia .|ayuda|por, ambulancia|ambulansia, llam* 911|112|061|999,
            me|se|estoy|esta muriendo|muero|muere, estoy|siento muriendome,
            voy|va a morir|morirme|morirse
        """,
    },
    harmless="""
        _ : no|ninguno|ninguna|nunca|niega|nada ., _ ninguno|ninguna|nunca .,
        antecedente|antecedentes|historial|historia|riesgo|riesgos|prevenir|prevencion
            |evitar|miedo de|a? familiares? de? un|una?
            infarto|derrame|sobredosis|convulsiones|ataque|ictus,
        antecedente|antecedentes|historial|riesgo|miedo .. .. ataque|infarto|derrame
            cerebral|corazon|cardiaco|al,
        antecedente|antecedentes|riesgo|riesgos|prevenir|evitar .. ..
            infarto|derrame|ictus|convulsiones|ataque,
        murio|fallecio|muere .. de|por|tras .. infarto|derrame|ictus|ataque|paro,
        murio|fallecio .. .. .. ataque|derrame|paro|infarto .. cerebral|cardiaco|corazon,
        rehabilitacion|recuperacion|secuelas|despues|tras .. .. .. infarto|derrame|ictus,
        infarto|derrame|ictus|ataque|convulsion|hemorragia|desmayo|corazon|cerebral |cardiaco ..
            hace .. anos|meses|ano,
        infarto|derrame|ictus|ataque|corazon|cerebral|cardiaco en|desde|del? el? ano?
            196*|197*|198*|199*|200*|201*|202*,
        respir* .. por .. nariz|fosa, por .. nariz,
        inconsciente|dormido durante .. cirugia|operacion, sangre para el|la|analisis|un,
        en caso de .. emergencia, de emergencia|urgencia,
        muero|muriendo de|por ganas|risa|hambre|verlos|verte|conocer
    """,
    negators="no sin nunca ningun ninguna ninguno jamas tampoco ni niega niego nadie",
    fillers="""
        tengo tiene tienen tuve tenia tuvo he ha haya hay tenido teniendo siento siente sentido el
        la los las un una unos unas algun alguna de del me le te se lo mas presento presenta
        presentado padezco padece sufro sufre quiero quiere quisiera deseo deseas necesito hace
        falta ahora actualmente en estoy esta es soy ganas pensamientos ideas intencion sintomas
        signos tipo
    """,
    common="""
        el la los las de que y en un una es por con para mi me se lo como pero estoy tengo tiene
        muy yo su al del hola gracias puedo quiero ayuda necesito pienso creo mucho esta ayer hoy
    """,
    emergency=(
        "Esto puede ser una emergencia. No espere una respuesta aquí. Llame ahora al número"
        " de emergencias de su país (por ejemplo, 112 en Europa, 911 en México, Argentina y"
        " Estados Unidos) o vaya al servicio de urgencias más cercano. Si puede, pida a"
        " alguien que se quede con usted."
    ),
    crisis=(
        "No está solo ni sola, y puede recibir ayuda ahora mismo. No espere una respuesta"
        " aquí. Si está en peligro, llame al número de emergencias de su país (por ejemplo,"
        " 112 en Europa, 911 en México, Argentina y Estados Unidos). En una línea de ayuda le"
        " escucharán: findahelpline.com indica líneas gratuitas en muchos países. Si puede,"
        " vaya con alguien de confianza y no se quede a solas."
    ),
)
