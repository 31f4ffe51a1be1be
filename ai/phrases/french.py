"""French."""

from typing import Final

from ai.phrases.language import Flag, Language

_HUMAN = (
    "personne|humain|humaine|agent|agente|coordinateur|coordinatrice|conseiller|conseillere|operateur"
    "|operatrice|representant|representante|quelquun|responsable|interlocuteur|employe|superviseur|etre"
)
_BOT = "bot|robot|chatbot|machine|bots|robots|ia"
FRENCH: Final = Language(
    wishes=f"""
        parler|discuter|echanger|parle|communiquer|parlez a|avec|au|aux un|une|l|le|la|des?
            vrai|vraie|autre? {_HUMAN},
        parler|discuter|echanger|parle a|avec quelqu un,
        veux|voudrais|souhaite|aimerais|puis|peux|besoin|prefere|veu je|de|d?
            parler|discuter|echanger a|avec|au|aux un|une|le|la|mon|ma|votre|vos?
            medecin|docteur|infirmiere|infirmier|chirurgien|equipe,
        veux|voudrais|souhaite|aimerais|besoin|prefere|donnez|passez moi|d|avoir? un|une|l|le|la|d?
            vrai|vraie|autre?
            humain|humaine|agent|conseiller|conseillere|coordinateur|coordinatrice|operateur
            |representant,
        veux|voudrais|souhaite|besoin|prefere|donnez moi|d|avoir? une|un vraie|vrai
            personne|etre|interlocuteur,
        . une|vraie? personne reelle|humaine .|s|svp|merci,
        . une|un? vraie|vrai? personne|humain|agent|conseiller s|svp|stp|maintenant|.,
        quelqu un peut|pourrait|pourra|peux|pour il|elle|me|m|nous|t? m|me|nous?
            aider|aide|assister|appeler|rappeler|repondre|renseigner|expliquer,
        quelquun peut|pourrait|pourra|peux|pour il|elle|me|m|nous|t? m|me|nous?
            aider|aide|assister|appeler|rappeler|repondre|renseigner|expliquer,
        y a t il quelqu un|quelquun, y a quelqu un .|pour|ici|la|qui, . quelqu un .|ici|la,
        transferez|passez|connectez|mettez|transferer|orientez|passe moi|en|vers|me?
            en|vers|a|avec|relation? contact|avec|a|vers? a|avec|vers? un|une|le|la?
            {_HUMAN}|medecin,
        mettre en relation|contact avec un|une {_HUMAN}|medecin,
        aide|assistance|support|contact|conseiller humaine|humain, service client .|svp|s,
        appelez|rappelez|appeler|rappeler moi .|svp|s|maintenant|au|demain,
        pouvez|pourriez|peut|pourrait vous|on m|me|nous appeler|rappeler,
        etre rappele|rappelee|contacte|contactee,
        !plus|pas parler|discuter|veux|de a|avec|un|de? un|une|le|ce|de|d? {_BOT},
        arretez|arreter|arrete|stop|stoppez|desactivez|desactiver|coupez le|la|ce|cette|au? {_BOT},
        marre .. .. .. {_BOT}
    """,
    flags={
        Flag.SELF_HARM: """
            suicide|suicides|suicider|suicidaire|suicidaires|suicid|suissider, me suicide,
            !me|m tuer|tue|pendre|tirer|noyer .|balle|dans|une|ce|aujourd|maintenant|et, !me tuer,
            !me pendre,
            veux|voudrais|envie|veut|prefere|prefererais|aimerais|souhaite ..
                mourir|crever|disparaitre|mort|morte,
            !mettre|mettrai|finir|met .. fin|a|avec a|mes|mon|ma|la? jours|vie,
            !finir avec la|ma vie, !en finir .|avec, !m|me oter|enlever|ote|foutre la? vie|air,
            !plus|pas|aucune envie|raison|gout .. .. vivre|vie,
            !veux|veut|peux|sais plus|pas .. vivre|continuer|exister,
            me faire|fais|faisais du? mal .|volontairement|avec|expres|moi|a|pour, automutil*,
            scarifi*, mutiler|mutile, mieux mort|morte, ouvrir|couper|tailler les|mes veines,
            fatigue|fatiguee|marre|lasse|las .. .. vivre|vie, sauter ... pont|fenetre|toit|balcon
        """,
        Flag.CHEST: """
            douleur|douleurs|oppression|pression|serrement|poids|brulure|mal|gene
                |compression|serre|pincement|etau ...
                poitrine|thorax|thoracique|thoraciques|sternum,
            douleur|douleurs|serrement|pincement ... coeur .|bras|et|tres|gauche|depuis|qui,
            poitrine|thorax .. .. ..
                serre|serree|mal|douleur|douloureuse|brule|oppressee|comprimee|fait,
            mal poitrine, angine de poitrine
        """,
        Flag.HEART: """
            crise|arret|attaque|infarctus cardiaque|coeur, infarctus, crise de coeur,
            coeur .. arrete, attaque .. coeur
        """,
        Flag.BREATHING: """
            !peux|peut|arrive|arrives|parviens|parvient|pouvais|arrivait .. pas|plus .. .. ..
                respirer|respire|respiration,
            !arrive|narrive|peux|peu pas|plus a? respirer, !respire|respirait plus|pas,
            mal|difficulte|difficultes|peine|difficile|dur|probleme|problemes|gene|trouble
                |troubles ... respirer|respiration|respiratoire|respiratoires,
            respiration .. difficile|bloquee|sifflante, souffle court|coupe,
            manque|court|bout|plus|essouffle|essoufflee .. .. air|souffle|oxygene,
            essouffle|essoufflee|essoufflement,
            etouffe|etouffer|etouffement|suffoque|suffocation|suffoquer|asphyxi*,
            levres ... bleues|bleu|violettes
        """,
        Flag.STROKE: """
            avc, accident .. vasculaire .. cerebral, attaque|congestion|hemorragie cerebrale,
            thrombose cerebrale,
            visage|bouche|face|sourire ...
                affaisse|affaissee|tombe|tombant|paralyse|paralysee|engourdi|deforme|tordue
                |devie|deviee|travers|tombante,
            moitie|cote ... engourdi|engourdie|paralyse|paralysee|faible,
            soudain|soudainement|coup|subitement|brusquement .. .. .. pas|plus
                parler|bouger|voir|marcher,
            !peux|peut|arrive|parvient .. pas|plus .. parler|bouger|voir ...
                soudain|soudainement|coup|subitement,
            paralysie|engourdissement|faiblesse .. .. .. soudaine|visage|soudain|subite
        """,
        Flag.UNCONSCIOUS: """
            inconscient|inconsciente|inconscients,
            evanoui|evanouie|evanouir|evanouit|evanouissement|evanouis,
            perdu|perte|perd|perds|perdre .. .. connaissance|conscience, malaise .. connaissance,
            !reveille|reagit|repond|bouge pas|plus .|du|et|a, tombe|dans .. .. coma,
            tombe .. pommes, syncope
        """,
        Flag.BLEEDING: """
            hemorragi*,
            saigne|saignement|saignements|saigner|sang ...
                beaucoup|abondant|abondants|abondamment|fort|enormement|important|importants
                |grave|arret|flots|partout|severe,
            beaucoup|enormement|fort|plein|trop .. sang|saignement|saigne,
            !arrete pas|plus .. saigner, !saignement|saigne|sang ... pas|plus, je|il|elle saigne,
            perd|perds|perdu .. .. sang,
            vomi|vomis|vomir|vomit|crache|cracher|tousse|vomissements ... sang
        """,
        Flag.ALLERGY: """
            anaphyla*, choc|reaction|reactions|crise .. allergique|allergiques,
            allergie grave|severe|violente,
            gorge|langue|levres|glotte ...
                ferme|fermee|enfle|enflee|gonfle|gonfler|gonflee|gonflees|gonflent|serree|serre
                |bloquee,
            gonflement|oedeme ... gorge|langue|levres|glotte|quincke
        """,
        Flag.OVERDOSE: """
            surdose|surdosage|overdose, empoisonn*, intoxiqu*, intoxication, poison,
            pris|prise|avale|prends|ingere ... trop|toute|toutes|tous|boite|plein|surdose .. .. ..
                medicaments|medicament|comprimes|cachets|pilules|somniferes,
            trop .. medicaments|comprimes|cachets|pilules|somniferes,
            bu|avale|ingere .. .. javel|acide|pesticide|detergent|pile|essence
        """,
        Flag.SEIZURE: """
            convulsion|convulsions|convulse|convulser,
            crise|crises .. epilepsie|epileptique|epileptiques
        """,
        Flag.EMERGENCY: """
            urgence medicale|vitale, est|une|c|ai|cest une? urgence, . urgence .|aidez|svp,
            ambulance, appel* .. .. samu|15|112|pompiers|secours, samu,
            vais|va|suis|est .. mourir|mourant|mourante, train de mourir, je meurs|creve, meurt
        """,
    },
    harmless="""
        _ : non|aucun|aucune|jamais|pas ., _ aucun|aucune|jamais .,
        antecedent|antecedents|risque|risques|prevenir|prevention|eviter|peur .. .. ..
            infarctus|avc|crise|cardiaque|embolie|convulsions|hemorragie|surdose,
        mort|morte|decede|decedee|deces|succombe .. .. .. infarctus|avc|crise|cardiaque|cancer,
        reeducation|suite|sequelles|apres|depuis .. .. .. infarctus|avc,
        infarctus|avc|crise|cardiaque|convulsions|evanoui|hemorragie .. il y a .. ..
            ans|an|mois|annees,
        infarctus|avc|crise|cardiaque|convulsions|arret en|depuis|annee
            196*|197*|198*|199*|200*|201*|202*,
        respir* .. par .. nez|narine|narines,
        inconscient|inconsciente|endormi pendant .. operation|intervention, cas d urgence,
        d urgence, service|services|numero .. urgence, meurs|mourir d|de envie|rire|faim,
        sang pour|analyse
    """,
    negators="pas sans aucun aucune jamais non ni nul nulle",
    fillers="""
        de d la le les l un une des du ai a as avez en eu ressens ressent vraiment besoin envie
        presente souffre signe signes symptome symptomes autre autres idee idees pensee pensees
        intention veux voulu me m actuellement antecedent antecedents
    """,
    common="""
        le la les de des du et est je j ai un une pour que qui dans mon ma mes me il elle au aux ne
        pas sur avec vous nous c bonjour merci depuis tres suis peux veux au ce hier besoin pense
        ou
    """,
    emergency=(
        "C'est peut-être une urgence. N'attendez pas de réponse ici. Appelez tout de suite le"
        " numéro d'urgence de votre pays (par exemple le 112 en Europe, le 911 au Canada et"
        " aux États-Unis) ou allez au service d'urgences le plus proche. Si possible,"
        " demandez à quelqu'un de rester avec vous."
    ),
    crisis=(
        "Vous n'êtes pas seul ni seule, et de l'aide existe dès maintenant. N'attendez pas de"
        " réponse ici. Si vous êtes en danger, appelez le numéro d'urgence de votre pays (par"
        " exemple le 112 en Europe, le 911 au Canada et aux États-Unis). Une ligne d'écoute"
        " est là pour vous : findahelpline.com en indique des gratuites dans de nombreux"
        " pays. Si possible, allez auprès d'une personne de confiance et restez avec elle."
    ),
)
