"""`python -m client_service api | worker | all | migrate …`"""

from client_service.app import app

if __name__ == "__main__":
    app.main()
