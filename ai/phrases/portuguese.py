"""Portuguese."""

from typing import Final

from ai.phrases.language import Flag, Language

_HUMAN = (
    "pessoa|humano|humana|atendente|agente|coordenador|coordenadora|alguem|operador|operadora"
    "|representante|funcionario|responsavel|consultor|consultora|ser|supervisor"
)
_BOT = "bot|robo|chatbot|maquina|robos|bots|ia"
PORTUGUESE: Final = Language(
    wishes=f"""
        falar|conversar|fala|fale|contatar com|a um|uma|o|a|algum|alguma? outra|verdadeira?
            {_HUMAN},
        quero|queria|preciso|posso|gostaria|prefiro de? falar|conversar com um|uma|o|a|algum?
            medico|medica|doutor|doutora|enfermeira,
        quero|queria|preciso|prefiro um|uma|de? um|uma?
            humano|atendente|agente|coordenador|coordenadora|operador,
        quero|queria|preciso|prefiro|tem uma|um|de|alguma pessoa|ser real|humana|humano|verdadeira,
        . um|uma? pessoa|humano|atendente|agente real|humana? por|agora|.,
        . pessoa real|humana .|por,
        alguem que|aqui|ai? pode|poderia|possa|que? me?
            ajudar|ajude|ajuda|atender|ligar|responder|explicar,
        tem|ha alguem ai|aqui|que|disponivel,
        transfira|transfere|transferir|passe|passa|passar|conecte|conectar .. para|com|a
            um|uma|o|a? {_HUMAN}|medico,
        atendimento|ajuda|suporte humano|humana, podem|pode|poderiam me ligar,
        me liga|ligue|liguem, !nao quero .. .. com? um|uma|o|este? {_BOT},
        pare|parem|desliga|desligue|desliguem com? o|este {_BOT}
    """,
    flags={
        Flag.SELF_HARM: """
            suicidio|suicidar|suicida|suicidas|suicidarme, !me matar|enforcar, !matar me, !matarme,
            quero|queria|vontade|desejo|prefiro|prefiria .. morrer|morto|morta|sumir,
            !tirar|acabar|terminar .. .. minha|propria vida, !acabar com tudo,
            !nao|nem|sem quero|queria|vontade|razao|motivo|aguento .. .. viver,
            !nao vale a pena viver, cansado|cansada|farto|farta .. viver,
            me cortar|machucar .|de|com|para|as, automutil*, cortar .. pulsos, melhor morto|morta
        """,
        Flag.CHEST: """
            dor|dores|aperto|pressao|pontada|pontadas|queimacao|opressao|desconforto|peso
                no|na|nos? ... peito|torax|toracica|coracao|toracicas,
            doi|doendo|dolorido|aperta .. no? peito|coracao,
            !peito ... doi|doendo|apertado|dor|aperta|queimando, angina
        """,
        Flag.HEART: """
            infarto|enfarte|infartando|enfarto|infartos,
            ataque|ataques .. coracao|cardiaco|cardiacos,
            parada|paragem cardiaca|cardiorrespiratoria
        """,
        Flag.BREATHING: """
            !nao consigo|posso|consegue|pode|conseguia .. respirar,
            !nao .. respira|respirando|respirar,
            dificuldade|dificil|dificuldades|problema|problemas|custa|custando|mal|apenas ...
                respirar|respiracao|respiratoria,
            falta|sem|faltando .. .. ar|folego,
            sufocando|sufoco|sufocar|asfixia|sufocado|engasgando, labios ... azuis|azul|roxos
        """,
        Flag.STROKE: """
            avc, derrame|acidente|isquemia vascular? cerebral, derrame,
            rosto|boca|cara ... torto|torta|caido|caida|paralisado|paralisada|dormente|caindo,
            lado|metade ... dormente|paralisado|paralisada|fraco,
            repente|subitamente .. !nao consigo|consegue .. falar|mover|ver,
            repente|subitamente .. nao consigo|consegue|conseguiu .. falar|mover|ver|andar,
            !nao consigo|consegue falar|ver|mover ... repente|subitamente, fala enrolada|arrastada
        """,
        Flag.UNCONSCIOUS: """
            inconsciente|inconscientes, desmai*,
            perdeu|perdi|perda|perdendo .. .. consciencia|sentidos,
            !nao responde|acorda|reage .|ha|e|mais|nem|a, coma diabetico, em coma
        """,
        Flag.BLEEDING: """
            sangramento|sangrando|sangue|hemorragia|sangra|sangro ...
                muito|muita|intenso|forte|grave|para|abundante|severo,
            muito|muita|bastante .. sangue|sangramento|sangrando, hemorragia|hemorragias,
            estou|esta|ta sangrando, !nao para|parou .. sangrar, !sangramento|sangue .. nao para,
            perdendo|perdi .. .. sangue, vomit*|tossindo|tosse|cuspindo .. .. sangue
        """,
        Flag.ALLERGY: """
            anafila*, choque|reacao|reacoes .. alergica|alergico|anafilatico|anafilatica|alergicas,
            garganta|lingua|labios ...
                fechando|fechada|inchada|inchando|inchado|inchados|fecha|fechou,
            inchaco|inchada|fechando .. .. garganta|lingua|labios, alergia grave|severa|forte
        """,
        Flag.OVERDOSE: """
            overdose|superdosagem|sobredosagem, envenen*, intoxica*, veneno,
            tomei|tomou|engoli|engoliu|ingeri ... muitos|muitas|todos|todas|demais|excesso|cartela
                .. .. .. comprimidos|remedios|remedio|medicamentos|pilulas|calmantes,
            bebi|bebeu|engoliu|engoli|ingeriu ..
                cloro|acido|pesticida|detergente|pilha|gasolina|lixivia
        """,
        Flag.SEIZURE: """
            convulsao|convulsoes, convulsion*,
            ataque|crise|ataques|crises .. epilepsia|epileptico|epileptica|epileticas
        """,
        Flag.EMERGENCY: """
            emergencia medica, e|uma|tenho|isso uma? emergencia|urgencia,
            . emergencia|urgencia .|ajuda|por, ambulancia,
            chame|chamar|liga* .. .. samu|192|112|911, estou|esta|to|ta morrendo,
            estou|esta a morrer, vou|vai|acho morrer
        """,
    },
    harmless="""
        _ : nao|nenhum|nenhuma|nunca|nega ., _ nenhum|nenhuma|nunca .,
        historico|historia|antecedentes|risco|riscos|prevenir|evitar|medo .. .. ..
            infarto|enfarte|avc|derrame|convulsoes|convulsao|ataque,
        morreu|faleceu .. .. infarto|enfarte|avc|derrame|ataque,
        reabilitacao|sequelas|apos|depois .. .. infarto|avc|derrame,
        infarto|enfarte|avc|derrame|ataque|cardiaco|convulsao .. ha|faz .. anos|meses|ano,
        infarto|enfarte|avc|derrame|ataque|cardiaco .. anos|meses atras,
        infarto|enfarte|avc|derrame|ataque|cardiaco em|desde 196*|197*|198*|199*|200*|201*|202*,
        respir* .. pelo|pela|por .. nariz|narina, inconsciente durante .. cirurgia|operacao,
        caso de emergencia, de emergencia|urgencia, morrendo de rir|fome|vontade|saudade|saudades,
        exame .. sangue
    """,
    negators="nao sem nunca nenhum nenhuma nem jamais nega nego",
    fillers="""
        tenho tem tive teve sinto sente sentindo tendo o a os as um uma de do da mais qualquer me
        se ha estou esta sofro quero quer queria preciso gostaria com no na em vontade pensamentos
        sinais sintomas agora atualmente
    """,
    common="""
        o os as que em um uma meu minha nao com para por eu voce estou tenho muito mas foi ele ela
        isso ao dos das no na ola obrigado obrigada ajuda preciso quero sobre penso acho tomei
    """,
    emergency=(
        "Isto pode ser uma emergência. Não espere por uma resposta aqui. Ligue agora para o"
        " número de emergência do seu país (por exemplo, 112 em Portugal e na Europa, 192 no"
        " Brasil, 911 nos Estados Unidos) ou vá ao pronto-socorro mais próximo. Se puder,"
        " peça a alguém que fique com você."
    ),
    crisis=(
        "Você não está só e pode receber ajuda agora mesmo. Não espere por uma resposta aqui."
        " Se estiver em perigo, ligue para o número de emergência do seu país (por exemplo,"
        " 112 em Portugal e na Europa, 192 no Brasil, 911 nos Estados Unidos). Numa linha de"
        " apoio há quem escute você: findahelpline.com indica linhas gratuitas em muitos"
        " países. Se puder, procure alguém de confiança e fique com essa pessoa."
    ),
)
